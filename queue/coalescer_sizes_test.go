package queue

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// With delta temporality a collection has only the series that were touched, so
// sizes vary. As long as all series there are fit into the queue, nothing is
// lost.
func TestCoalesceLosesNothingWhereAllSeriesFit(t *testing.T) {
	for _, c := range []struct{ large, small, between, bound int }{
		{3000, 1, 5, 30_000}, {3000, 1, 1, 30_000}, {100, 1, 3, 10_000}, {10, 1, 3, 333}, {40, 1, 1, 100},
	} {
		m, dropped := newCoalescing(t, c.bound)
		var want int64
		for range 200 {
			put(t, m, metrictest.Numbers(c.large, 1))
			want += int64(c.large)
			for range c.between {
				put(t, m, metrictest.Numbers(c.small, 1))
				want += int64(c.small)
			}
		}
		assert.Zero(t, *dropped, "%+v", c)
		assert.Equal(t, want, drain(t, m), "%+v", c)
	}
}

func TestCoalesceLosesNothingAtRandomSizes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		series := rapid.IntRange(1, 30).Draw(rt, "series")
		m, dropped := newCoalescing(t, series+rapid.IntRange(0, 100).Draw(rt, "room"))
		var want int64
		for _, size := range rapid.SliceOfN(rapid.IntRange(1, series), 1, 100).Draw(rt, "sizes") {
			put(t, m, metrictest.Numbers(size, 1))
			want += int64(size)
			require.LessOrEqual(rt, m.Stats().Queued, m.maxPoints)
		}
		require.Zero(rt, *dropped)
		require.Equal(rt, want, drain(t, m))
	})
}

// A collection that adds no point to what waits needs no room.
func TestSmallCollectionBehindOneLargerThanTheBound(t *testing.T) {
	m, dropped := newCoalescing(t, 10)
	var want int64
	for i := range 400 {
		size := 1 + (i*7)%25
		put(t, m, metrictest.Numbers(size, 1))
		want += int64(size)
	}
	assert.Zero(t, *dropped)
	assert.Equal(t, want, drain(t, m))
}

// Joining makes room, too; only a delivery makes new collections stay apart.
func TestUnevenSizesDoNotUndoTheCoarsening(t *testing.T) {
	for _, sizes := range [][]int{{40, 1}, {60, 59, 58, 57, 56}} {
		m, _ := newCoalescing(t, 100)
		for i := range 5000 {
			put(t, m, metrictest.Numbers(sizes[i%len(sizes)], 1))
			if parts := m.waitingParts(); len(parts) > 2 {
				even := parts[:len(parts)-1]
				require.LessOrEqual(t, slices.Max(even), 4*slices.Min(even), "%v: %v", sizes, parts)
			}
		}
	}
}

func named(rm *metricdata.ResourceMetrics, name string) *metricdata.ResourceMetrics {
	rm.ScopeMetrics[0].Metrics[0].Name = name
	return rm
}

// Pairs that have nothing in common do not keep others from being joined.
func TestCoalesceFindsThePairsThatSaveSomething(t *testing.T) {
	m, dropped := newCoalescing(t, 100)
	for _, name := range []string{"x", "y", "z", "z", "z"} {
		put(t, m, named(metrictest.Numbers(20, 1), name))
	}
	put(t, m, named(metrictest.Numbers(1, 1), "w"))
	assert.Zero(t, *dropped)
	assert.Equal(t, int64(101), drain(t, m))
}

// What was found to save nothing is not tried again, or each Put of ever new
// series would go through the whole queue.
func TestPairsThatSaveNothingAreTriedOnce(t *testing.T) {
	m, _ := newCoalescing(t, 1000)
	for i := range 1000 {
		put(t, m, named(metrictest.Numbers(10, 1), fmt.Sprint(i)))
	}
	for i := range m.waiting.Len() - 1 {
		if older := m.waiting.At(i); older.unjoinable != m.waiting.At(i+1).version {
			assert.GreaterOrEqual(t, i, m.waiting.Len()-2, "the pair at %d would be tried again", i)
		}
	}
}
