package report

import (
	"strings"

	"github.com/asyncmetric/asyncmetric/internal/peerbench/measure"
)

// table writes a table in Markdown: of each cell the ratio first, if the column
// has one, then the median, then the spread.
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
			var of measure.Sample
			if c.Compared && base.Cells != nil {
				of = base.Cells[i]
			}
			b.WriteString(" " + cell(row.Cells[i], of, c.Unit) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func cell(s, base measure.Sample, u measure.Unit) string {
	if len(s) == 0 {
		return ""
	}
	parts := []string{figure(s.Median(), u)}
	if of := base.Median(); of != 0 {
		parts = []string{"**" + ratio(s.Median(), of) + "**", parts[0]}
	}
	if w := spread(s, u); w != "" {
		parts = append(parts, w)
	}
	return strings.Join(parts, " ")
}
