package queuetest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/queue"
)

// What a naive queue does wrong on purpose.
const (
	addsCumulative         = "adds cumulative points"
	confusesTwins          = "confuses two instruments of one name"
	countsJoinsAsDrops     = "counts joined points as dropped"
	doesNotCountJoins      = "does not count joined points"
	doesNotJoin            = "drops where it should join"
	dropsTheNewest         = "drops the newest points"
	dropsWholeEntries      = "drops whole entries"
	exceedsTheBound        = "exceeds the bound"
	forgetsTheStart        = "forgets the start of a joined delta"
	handsOutTwice          = "hands out an entry twice"
	joinsAcrossFalls       = "joins across a fall"
	joinsAcrossResets      = "joins across a reset"
	joinsResources         = "joins two resources"
	keepsTheFirstValue     = "keeps the first value of a gauge"
	losesAPoint            = "loses a point"
	mixesScales            = "adds buckets of different scales"
	namesTheNewestPosition = "gives a joined entry the position of the newest part"
	passesTooEarly         = "says that a position has passed too early"
	returnsToTheEnd        = "puts what is returned behind what is newer"
	swapsData              = "swaps the data of two entries"
	swapsEntries           = "swaps two entries"
)

var faults = []string{
	addsCumulative, confusesTwins, countsJoinsAsDrops, doesNotCountJoins, doesNotJoin, dropsTheNewest, dropsWholeEntries,
	exceedsTheBound, forgetsTheStart, handsOutTwice, joinsAcrossFalls, joinsAcrossResets,
	joinsResources, keepsTheFirstValue, losesAPoint, mixesScales, namesTheNewestPosition, passesTooEarly,
	returnsToTheEnd, swapsData, swapsEntries,
}

func TestASimpleQueueCanKeepAllTotals(t *testing.T) {
	RunTotals(t, Config{New: func(_ *testing.T, maxPoints int, _ queue.Overflow) queue.Queue {
		return newNaive(maxPoints, "")
	}})
}

func TestAQueueThatIsNeverFullKeepsAllTotals(t *testing.T) {
	for _, claim := range totalsClaims {
		rapid.Check(t, func(rt *rapid.T) {
			require.NoError(rt, claim.check(rt, func(int) queue.Queue {
				m, err := queue.NewMemory(queue.Bound{Points: roomy}, queue.Coalesce)
				require.NoError(t, err)
				return m
			}), claim.name)
		})
	}
}

func TestEachFaultIsFound(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault, func(t *testing.T) {
			for seed := range 200 {
				for _, claim := range totalsClaims {
					if err := example(claim, fault, seed); err != nil {
						t.Logf("%s, try %d: %.300v", claim.name, seed, err)
						return
					}
				}
			}
			t.Error("nothing was found")
		})
	}
}

// example returns what a claim finds in a queue with a fault.
func example(claim totalsClaim, fault string, seed int) error {
	return rapid.Custom(func(rt *rapid.T) error {
		return claim.check(rt, func(bound int) queue.Queue { return newNaive(bound, fault) })
	}).Example(seed)
}

func TestWhatSourcesCollectIsUnderstood(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSource(rt, 0, drawTraits(rt))
		for range 4 {
			for _, rm := range s.collect() {
				var samples []sample
				eachPoint(rm, func(id seriesID, p point) { samples = append(samples, sample{id.instrument, p}) })
				require.Equal(rt, rm, s.piece(samples))
			}
		}
	})
}
