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

// A Row is what one rival reached: of each column, the value of each repetition.
type Row struct {
	Rival string
	Cells []Sample
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
	for _, r := range t.Rows {
		if r.Rival == rival {
			return r, true
		}
	}
	return Row{}, false
}

// add appends one value for each column to the row of a rival, which is made if
// there is none.
func (t *Table) add(rival string, values ...float64) {
	i := slices.IndexFunc(t.Rows, func(r Row) bool { return r.Rival == rival })
	if i < 0 {
		i = len(t.Rows)
		t.Rows = append(t.Rows, Row{Rival: rival, Cells: make([]Sample, len(t.Columns))})
	}
	for c, v := range values {
		t.Rows[i].Cells[c] = append(t.Rows[i].Cells[c], v)
	}
}
