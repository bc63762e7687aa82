package statusz

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAPlotHasAStepForEachInterval(t *testing.T) {
	e := exporter{
		Totals: totals{Accepted: 1, Exported: 2, Coalesced: 3, Dropped: 4},
		Rates: &rates{
			Current: perSecond{Accepted: 5}, Mean: perSecond{Accepted: 8}, Max: perSecond{Accepted: 20},
			WindowSeconds: 10,
		},
		History: []interval{
			{Seconds: 2, perSecond: perSecond{Accepted: 20}},
			{Seconds: 3, perSecond: perSecond{Accepted: 0}},
			{Seconds: 5, perSecond: perSecond{Accepted: 5}},
		},
	}
	got := newPlots(e)
	assert.Equal(t, plot{
		Title: "Accepted", Kind: "accepted", Total: 1, Current: 5, Mean: 8, Max: 20, Window: 10,
		Area: "M0 48V0H60V48H150V36H300V48Z",
		Line: "M0 0H60V48H150V36H300",
	}, got[0])
	for i, want := range []plot{{Title: "Exported", Total: 2}, {Title: "Coalesced", Total: 3}, {Title: "Dropped", Total: 4}} {
		assert.Equal(t, want.Title, got[i+1].Title)
		assert.Equal(t, want.Total, got[i+1].Total)
		assert.Equal(t, "M0 48H60V48H150V48H300", got[i+1].Line, "nothing happened: the line lies on the ground")
	}
}

func TestEachPlotShowsItsOwnRate(t *testing.T) {
	all := perSecond{Accepted: 1, Exported: 2, Coalesced: 3, Dropped: 4}
	for i, p := range newPlots(exporter{Rates: &rates{Current: all, Mean: all, Max: all, WindowSeconds: 1}}) {
		assert.Equal(t, []float64{float64(i + 1), float64(i + 1), float64(i + 1)}, []float64{p.Current, p.Mean, p.Max})
	}
}

func TestWithoutRatesThereIsNoLine(t *testing.T) {
	for _, p := range newPlots(exporter{}) {
		assert.Empty(t, p.Line)
	}
}
