package report

import (
	"strings"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/measure"
)

// table writes a table in Markdown: of each cell the ratio first, if the column
// has one, then the value, then the spread.
func table(t *measure.Table) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, c := range t.Columns {
		b.WriteString(" " + c.Name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(t.Columns)) + "\n")
	base, _ := t.Row(t.Base)
	for _, row := range t.Rows {
		b.WriteString("| " + row.Rival + " |")
		for i, c := range t.Columns {
			var of float64
			if c.Compared && base.Cells != nil {
				of = base.Value(i)
			}
			b.WriteString(" " + cell(row, i, of, c.Unit) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// cell writes that of a column, with no ratio if the base is 0.
func cell(row measure.Row, column int, base float64, u measure.Unit) string {
	if len(row.Cells[column]) == 0 {
		return ""
	}
	v := row.Value(column)
	parts := []string{figure(v, u)}
	if base != 0 {
		parts = []string{"**" + ratio(v, base) + "**", parts[0]}
	}
	if w := spread(row.Cells[column], u); w != "" {
		parts = append(parts, w)
	}
	return strings.Join(parts, " ")
}
