package report

import (
	"image/color"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/measure"
)

// barWidth is that of one bar in a group.
const barWidth = 9 // points

// outagePlot has a group of bars for each rival, a bar for each outage: how much
// of what was counted has arrived.
func (r *Report) outagePlot() ([]byte, error) {
	t, err := r.find("outage")
	if err != nil {
		return nil, err
	}
	p := newPlot("What arrives of an application's counts after an outage", "percent of what was counted; more is better")
	p.X.Min, p.X.Max = 0, 100
	grid := plotter.NewGrid()
	grid.Horizontal.Width = 0
	grid.Vertical.Color = grey
	p.Add(grid)

	var rivals []string
	for _, row := range t.Rows {
		rivals = append(rivals, row.Rival)
	}
	columns := percentages(t)
	for n, column := range columns {
		values := make(plotter.Values, len(t.Rows))
		for i, row := range t.Rows {
			values[len(values)-1-i] = row.Value(column) // bars go upwards
		}
		bars, err := plotter.NewBarChart(values, vg.Points(barWidth))
		if err != nil {
			return nil, err
		}
		bars.Horizontal, bars.XMin, bars.LineStyle.Width = true, place(len(rivals)-1), 0
		bars.Offset = vg.Points(barWidth * (float64(len(columns)-1)/2 - float64(n)))
		bars.Color = []color.Color{blue, orange, green}[n%3]
		p.Add(bars)
		p.Legend.Add("outage of "+t.Columns[column].Name, bars)
	}
	names(p, rivals)
	return svg(p, vg.Length(5.8+1.4*float64(len(rivals)))*vg.Centimeter)
}

// percentages returns which columns have them.
func percentages(t *measure.Table) (columns []int) {
	for i, c := range t.Columns {
		if c.Unit == measure.Percent {
			columns = append(columns, i)
		}
	}
	return columns
}
