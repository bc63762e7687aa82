package statusz

import (
	"fmt"
	"strconv"
	"strings"
)

// The size of a plot in its own units. The page stretches it, but no line.
const (
	plotWidth  = 300
	plotHeight = 48
)

// plot is a rate over time. What it shows is also said in words.
type plot struct {
	Title   string
	Kind    string // the class of its colours
	Total   uint64
	Current float64
	Mean    float64
	Max     float64
	Window  float64 // in seconds
	Area    string  // paths of SVG: what is filled, and the line above it
	Line    string
}

// flows are the four rates of an exporter, in the order in which a point meets
// them.
var flows = []struct {
	title, kind string
	total       func(totals) uint64
	rate        func(perSecond) float64
}{
	{"Accepted", "accepted", func(t totals) uint64 { return t.Accepted }, func(p perSecond) float64 { return p.Accepted }},
	{"Exported", "exported", func(t totals) uint64 { return t.Exported }, func(p perSecond) float64 { return p.Exported }},
	{"Coalesced", "coalesced", func(t totals) uint64 { return t.Coalesced }, func(p perSecond) float64 { return p.Coalesced }},
	{"Dropped", "dropped", func(t totals) uint64 { return t.Dropped }, func(p perSecond) float64 { return p.Dropped }},
}

// newPlots returns the plots of an exporter, without lines if it has no rates
// yet.
func newPlots(e exporter) []plot {
	var plots []plot
	for _, f := range flows {
		p := plot{Title: f.title, Kind: f.kind, Total: f.total(e.Totals)}
		if e.Rates != nil {
			p.Current, p.Mean, p.Max = f.rate(e.Rates.Current), f.rate(e.Rates.Mean), f.rate(e.Rates.Max)
			p.Window = e.Rates.WindowSeconds
			p.draw(e.History, f.rate)
		}
		plots = append(plots, p)
	}
	return plots
}

// draw makes a step of each interval: the rate is known for all of it, and no
// better than that.
func (p *plot) draw(intervals []interval, rate func(perSecond) float64) {
	var steps strings.Builder
	passed := 0.0
	for _, i := range intervals {
		y := float64(plotHeight)
		if p.Max > 0 {
			y -= plotHeight * rate(i.perSecond) / p.Max
		}
		passed += i.Seconds
		fmt.Fprintf(&steps, "V%sH%s", coordinate(y), coordinate(plotWidth*passed/p.Window))
	}
	p.Area = fmt.Sprintf("M0 %d%sV%dZ", plotHeight, steps.String(), plotHeight)
	p.Line = "M0 " + strings.TrimPrefix(steps.String(), "V")
}

// coordinate writes a number with one decimal at most.
func coordinate(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}
