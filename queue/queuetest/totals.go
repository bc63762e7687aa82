package queuetest

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/queue"
)

// A totalsClaim is something that the policy Coalesce promises, whatever the
// data is and however it arrives.
type totalsClaim struct {
	name   string
	demand string
	exact  bool // only for a queue that is bounded in data points
	check  func(*rapid.T, func(maxPoints int) queue.Queue) error
}

var totalsClaims = []totalsClaim{{
	name: "TotalsAreKeptUnlessDataIsDropped",
	demand: "Joining loses resolution in time, and no total: the sums of delta series, the increase of cumulative " +
		"series and the last values of all others arrive as they were put in, unless Dropped counts something.",
	check: checkAnything,
}, {
	name:   "NothingIsDroppedWhereAllThatCannotBeJoinedFitsTwice",
	demand: "Data is dropped only where joining makes no room, in whichever order and pieces it arrives.",
	exact:  true,
	check:  checkFitting,
}, {
	name: "SeriesThatComeOnceCostTheOthersNothing",
	demand: "Where series that come once fill the queue, they are dropped, the oldest first, and not those that are " +
		"in each collection.",
	exact: true,
	check: checkChurn,
}, {
	name:   "CoalesceDeliversNoLessThanDropOldest",
	demand: "Coalesce loses no more than DropOldest would.",
	exact:  true,
	check:  checkAgainstDropOldest,
}}

// RunTotals tests what queues with the policy [queue.Coalesce] make of data
// that arrives in any way: what must arrive of it, and in which order. It needs
// c.New alone, and is not part of [Run]. The claims about what may be dropped
// are tested only where Info().MaxPoints is maxPoints.
//
// All of it is random, with package rapid. The flags -rapid.checks and
// -rapid.seed make it longer, and repeat it.
func RunTotals(t *testing.T, c Config) {
	t.Helper()
	exact := c.exact(t, queue.Coalesce)
	for _, claim := range totalsClaims {
		t.Run(claim.name, func(t *testing.T) {
			if claim.exact && !exact {
				t.Skip("needs a bound in data points")
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("The policy Coalesce promises: %s", claim.demand)
				}
			})
			rapid.Check(t, func(rt *rapid.T) {
				err := claim.check(rt, func(maxPoints int) queue.Queue { return c.New(t, maxPoints, queue.Coalesce) })
				if err != nil {
					rt.Fatal(err)
				}
			})
		})
	}
}

// drawSources draws up to three sources with the traits that a claim allows.
func drawSources(rt *rapid.T, allow func(*traits)) []*source {
	sources := make([]*source, rapid.IntRange(1, 3).Draw(rt, "sources"))
	for i := range sources {
		tr := drawTraits(rt)
		allow(&tr)
		sources[i] = newSource(rt, i, tr)
	}
	return sources
}

// sum returns the sum of a number that each source has.
func sum(sources []*source, number func(*source) int) (n int) {
	for _, s := range sources {
		n += number(s)
	}
	return n
}

// try does up to n steps with a trial, and then closes its queue.
func (tr *trial) try(n int, steps []step) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tr.ctx, tr.reference, tr.excess = ctx, newReference(), map[string]int64{}
	defer func() { _ = tr.queue.Close() }()
	return tr.run(n, steps)
}

const trialSteps = 60

func checkAnything(rt *rapid.T, newQueue func(int) queue.Queue) error {
	sources := drawSources(rt, func(*traits) {})
	round := sum(sources, (*source).largest)
	bound := rapid.OneOf(
		rapid.IntRange(1, round), rapid.IntRange(round, 8*round), rapid.Just(roomy),
	).Draw(rt, "bound")
	tr := &trial{T: rt, queue: newQueue(bound), sources: sources}
	if err := tr.try(trialSteps, anyStep); err != nil {
		return err
	}
	return tr.checkTotals(func(*history) bool { return tr.lost() == 0 })
}

func checkFitting(rt *rapid.T, newQueue func(int) queue.Queue) error {
	sources := drawSources(rt, func(t *traits) {
		t.oneOff = 0
		if rapid.Bool().Draw(rt, "quiet") {
			t.resets, t.falls, t.backwards = 0, 0, 0
		}
	})
	least := 2 * sum(sources, (*source).unjoinable)
	bound := rapid.IntRange(least, 3*least/2).Draw(rt, "bound")
	tr := &trial{T: rt, queue: newQueue(bound), sources: sources}
	if err := tr.try(2*trialSteps, anyStep); err != nil {
		return err
	}
	if tr.lost() > 0 {
		return fmt.Errorf("%d data points were dropped where %d may wait, twice as many as cannot be joined", tr.lost(), bound)
	}
	return tr.checkTotals(func(*history) bool { return true })
}

// drawChurn draws sources with series that come once, and a bound that leaves
// room for all others twice, and for what comes once in two rounds.
func drawChurn(rt *rapid.T, allow func(*traits)) (sources []*source, bound int) {
	sources = drawSources(rt, func(t *traits) {
		t.resets, t.falls, t.backwards = 0, 0, 0
		t.oneOff = rapid.IntRange(1, 5).Draw(rt, "one-off")
		allow(t)
	})
	lasting, round := sum(sources, (*source).lasting), sum(sources, (*source).largest)
	least := max(2*lasting, lasting+2*(round-lasting))
	return sources, rapid.IntRange(least, 2*least).Draw(rt, "bound")
}

func checkChurn(rt *rapid.T, newQueue func(int) queue.Queue) error {
	sources, bound := drawChurn(rt, func(t *traits) { t.sometimes = 0 })
	tr := &trial{T: rt, queue: newQueue(bound), sources: sources}
	if err := tr.try(trialSteps, anyStep); err != nil {
		return err
	}
	return tr.checkTotals(func(h *history) bool { return !h.oneOff })
}

// checkAgainstDropOldest compares what arrives with what would arrive under
// DropOldest. Both deliver all there is or nothing: they have different entries.
func checkAgainstDropOldest(rt *rapid.T, newQueue func(int) queue.Queue) error {
	sources, bound := drawChurn(rt, func(t *traits) { t.deltas = true })
	tr := &trial{T: rt, queue: newQueue(bound), sources: sources, rival: &dropOldest{bound: bound}}
	steps := []step{deliverAll}
	for range 15 {
		steps = append(steps, putPiece, putCollection)
	}
	if err := tr.try(trialSteps, steps); err != nil {
		return err
	}
	if got := tr.arrived(); got < tr.rival.arrived {
		return fmt.Errorf("of all that was measured %v arrived, and with DropOldest %v had", got, tr.rival.arrived)
	}
	return nil
}
