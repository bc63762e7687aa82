package measure

import (
	"math"
	"slices"
)

// A Unit says how a figure is written.
type Unit string

// The units.
const (
	Seconds    Unit = "s"
	PerSecond  Unit = "/s"
	Bytes      Unit = "B"
	Percent    Unit = "%"
	Count      Unit = ""
	Nanosecond Unit = "ns"
)

// A Column is a quantity.
type Column struct {
	Name string
	Unit Unit
	// Compared columns are also given as a ratio to the base of the table.
	Compared bool
}

// A Row is what one rival reached.
type Row struct {
	Rival string
	// Cells has the value of each repetition, for each column.
	Cells []Sample
	// Pooled, if not nil, has the value of all repetitions together, for each
	// column.
	Pooled []float64
}

// Value returns what stands for all repetitions in a column: the pooled value
// where there is one, otherwise the median.
func (r Row) Value(column int) float64 {
	if r.Pooled != nil {
		return r.Pooled[column]
	}
	return r.Cells[column].Median()
}

// A Table is the result of a measurement.
type Table struct {
	// ID is how the text of the report refers to it.
	ID      string
	Columns []Column
	Rows    []Row
	// Base is the rival that is 1x. Empty means that nothing is compared.
	Base string
}

// A Sample is the values of one quantity.
type Sample []float64

// Quantile returns the smallest value that at least that share of the values
// does not exceed, 0 if there are none.
func (s Sample) Quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// Median returns the value in the middle.
func (s Sample) Median() float64 { return s.Quantile(0.5) }

// Min returns the smallest value, 0 if there are none.
func (s Sample) Min() float64 { return s.Quantile(0) }

// Max returns the largest value, 0 if there are none.
func (s Sample) Max() float64 { return s.Quantile(1) }

// Row returns that of a rival, and whether there is one.
func (t *Table) Row(rival string) (Row, bool) {
	if i := t.index(rival); i >= 0 {
		return t.Rows[i], true
	}
	return Row{}, false
}

// add appends one value for each column to the row of a rival, which is made if
// there is none.
func (t *Table) add(rival string, values ...float64) {
	i := t.index(rival)
	if i < 0 {
		i = len(t.Rows)
		t.Rows = append(t.Rows, t.emptyRow(rival))
	}
	for c, v := range values {
		t.Rows[i].Cells[c] = append(t.Rows[i].Cells[c], v)
	}
}

// addBelow makes an empty row right below that of a rival.
func (t *Table) addBelow(rival, name string) {
	t.Rows = slices.Insert(t.Rows, t.index(rival)+1, t.emptyRow(name))
}

// index returns where the row of a rival is, -1 if there is none.
func (t *Table) index(rival string) int {
	return slices.IndexFunc(t.Rows, func(r Row) bool { return r.Rival == rival })
}

func (t *Table) emptyRow(name string) Row {
	return Row{Rival: name, Cells: make([]Sample, len(t.Columns))}
}
