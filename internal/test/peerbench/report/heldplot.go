package report

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// heldPlot has a line for each rival, and for the conversion that is part of one,
// from the median to the 99th percentile of the time that the reader is held.
func (r *Report) heldPlot() ([]byte, error) {
	t, err := r.find("held")
	if err != nil {
		return nil, err
	}
	p := newPlot("Time that the reader is held by a collection", "milliseconds, logarithmic; less is better")
	var rivals []string
	var medians, tails plotter.XYs
	for i, row := range t.Rows {
		medians = append(medians, plotter.XY{X: 1e3 * row.Value(0), Y: place(i)})
		tails = append(tails, plotter.XY{X: 1e3 * row.Value(1), Y: place(i)})
		rivals = append(rivals, row.Rival)
	}
	names(p, rivals)
	logarithmic(p, medians, tails)
	for i := range medians {
		l, err := plotter.NewLine(plotter.XYs{medians[i], tails[i]})
		if err != nil {
			return nil, err
		}
		l.Color, l.Width = grey, vg.Points(4)
		p.Add(l)
	}
	if err := addPoints(p, "median", medians, blue, draw.CircleGlyph{}); err != nil {
		return nil, err
	}
	if err := addPoints(p, "99th percentile", tails, orange, draw.BoxGlyph{}); err != nil {
		return nil, err
	}
	return svg(p, vg.Length(5+0.8*float64(len(rivals)))*vg.Centimeter)
}

// logarithmic has the X axis span whole powers of ten.
func logarithmic(p *plot.Plot, low, high plotter.XYs) {
	least, most := math.Inf(1), math.Inf(-1)
	for i := range low {
		least, most = min(least, low[i].X), max(most, high[i].X)
	}
	from, to := int(math.Floor(math.Log10(least))), int(math.Ceil(math.Log10(most)))
	to = max(to, from+1)
	p.X.Min, p.X.Max = math.Pow10(from), math.Pow10(to)
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = powers(from, to)
	grid := plotter.NewGrid()
	grid.Horizontal.Width = 0
	grid.Vertical.Color = grey
	p.Add(grid)
}

// powers returns ticks at powers of ten, with a label, and between them. That of
// the library loses those of the first power to rounding.
func powers(from, to int) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for e := from; e < to; e++ {
		ticks = append(ticks, plot.Tick{Value: math.Pow10(e), Label: digits(math.Pow10(e))})
		for n := 2.0; n < 10; n++ {
			ticks = append(ticks, plot.Tick{Value: n * math.Pow10(e)})
		}
	}
	return append(ticks, plot.Tick{Value: math.Pow10(to), Label: digits(math.Pow10(to))})
}

func addPoints(p *plot.Plot, name string, at plotter.XYs, c color.Color, shape draw.GlyphDrawer) error {
	s, err := plotter.NewScatter(at)
	if err != nil {
		return err
	}
	s.Color, s.Shape, s.Radius = c, shape, vg.Points(4)
	p.Add(s)
	p.Legend.Add(name, s)
	return nil
}
