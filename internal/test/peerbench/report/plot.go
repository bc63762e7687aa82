package report

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The colours can be told apart also by those who see colours in another way, and
// from white.
var (
	blue   = color.NRGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}
	orange = color.NRGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}
	green  = color.NRGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}
	grey   = color.NRGBA{R: 0xdd, G: 0xdd, B: 0xdd, A: 0xff}
)

// fontFamily is what is drawn with. Where it is missing, others take its place
// that are as wide.
const fontFamily = "font-family:Liberation Sans"

const (
	plotWidth = 20 * vg.Centimeter
	margin    = 12
	// legendRoom is how many rows the legend takes, above the others.
	legendRoom = 1
)

func (r *Report) drawPlots(dir string) error {
	for _, p := range []struct {
		table, file string
		draw        func(*Report) ([]byte, error)
	}{
		{"held", "held.svg", (*Report).heldPlot},
		{"outage", "outage.svg", (*Report).outagePlot},
	} {
		svg, err := p.draw(r)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, p.file), svg, 0o644)
		}
		if err != nil {
			return fmt.Errorf("report: plot %s: %w", p.file, err)
		}
	}
	return nil
}

// newPlot returns one in the style of all: opaque and white, so that it can be
// read on a page of any colour.
func newPlot(title, x string) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text = title
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text = x
	p.X.Label.Padding = vg.Points(4)
	p.Y.LineStyle.Width = 0
	p.Y.Tick.Length = 0
	p.Legend.Top = true
	p.Legend.Padding = vg.Points(2)
	return p
}

// names labels the places 0, 1, ... of the Y axis, from the top.
func names(p *plot.Plot, rivals []string) {
	ticks := make(plot.ConstantTicks, len(rivals))
	for i, name := range rivals {
		ticks[i] = plot.Tick{Value: place(i), Label: name}
	}
	p.Y.Tick.Marker = ticks
	p.Y.Min, p.Y.Max = place(len(rivals)-1)-0.6, place(0)+0.6+legendRoom
}

// place is where the row with a number is on the Y axis.
func place(row int) float64 { return -float64(row) }

// svg draws a plot with a margin around it.
func svg(p *plot.Plot, height vg.Length) ([]byte, error) {
	c := vgsvg.NewWith(vgsvg.UseWH(plotWidth, height))
	all := draw.New(c)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	p.Draw(draw.Crop(all, margin, -margin, margin, -margin))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(b.Bytes(), []byte(fontFamily+";"), []byte(fontFamily+",Arial,Helvetica,sans-serif;")), nil
}
