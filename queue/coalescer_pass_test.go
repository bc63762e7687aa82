package queue

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// A Put looks at no more pairs than it may, though there are many more and none
// saves anything. It comes back to the others with the next Puts.
func TestOnePutJoinsNoMoreThanItsShare(t *testing.T) {
	const points, entries = 100, 300
	m, dropped := newCoalescing(t, points*entries)
	for i := range entries {
		put(t, m, named(metrictest.Numbers(points, 1), fmt.Sprint(i)))
	}
	tried := 0
	for i := range 3 {
		put(t, m, named(metrictest.Numbers(points, 1), fmt.Sprint("new", i)))
		before := tried
		tried = *dropped / points // the oldest, which had been tried
		for j := range m.waiting.Len() {
			if m.waiting.At(j).unjoinable != 0 {
				tried++
			}
		}
		share := maxWork*points + max(leastWork, lastWork*points)
		require.LessOrEqual(t, tried-before, share/(2*points)+2, "pairs that Put %d tried", i)
		require.Greater(t, tried, before, "Put %d goes on with other pairs", i)
	}
}

// That a pair saves nothing is remembered only as long as both stay as they are.
func TestAPairIsTriedAgainWhenItsDataHasChanged(t *testing.T) {
	x := func() *Memory {
		m, _ := newCoalescing(t, 100)
		for _, name := range []string{"x", "y", "y", "x"} {
			put(t, m, named(metrictest.Numbers(2, 1), name))
		}
		return m
	}
	tryAt := func(m *Memory, cursor int) (joined bool) {
		before := m.waiting.Len()
		m.coalescer.cursor, m.coalescer.target = cursor, 8
		require.True(t, m.findPair(1), "the pair at %d may not be joined", cursor)
		m.joinPair()
		return m.waiting.Len() < before
	}
	t.Run("the newer", func(t *testing.T) {
		m := x()
		require.False(t, tryAt(m, 0), "x with y")
		require.False(t, tryAt(m, 2), "y with x")
		require.True(t, tryAt(m, 1), "y with y")
		require.False(t, tryAt(m, 0), "x with what has become of y")
	})
	t.Run("the older", func(t *testing.T) {
		m := x()
		require.False(t, tryAt(m, 2), "y with x")
		require.True(t, tryAt(m, 1), "y with y")
		require.False(t, tryAt(m, 1), "what has become of y with x")
	})
	t.Run("neither", func(t *testing.T) {
		m := x()
		require.False(t, tryAt(m, 0), "x with y")
		m.coalescer.cursor = 0
		require.False(t, m.findPair(1), "x with y is tried again")
	})
}

// How far the only entry that waits may exceed the bound depends on the largest
// collection in it, and not on the first, nor on the last.
func TestAnEntryKnowsTheLargestOfItsParts(t *testing.T) {
	for name, sizes := range map[string][]int{
		"joined by a Put":  {2, 12, 1},
		"joined by a pass": {4, 6},
	} {
		t.Run(name, func(t *testing.T) {
			m, dropped := newCoalescing(t, 10)
			largest := 0
			for _, n := range sizes {
				put(t, m, metrictest.Numbers(n, 1))
				largest = max(largest, n)
			}
			put(t, m, named(metrictest.Numbers(5, 1), "new"))
			assert.Equal(t, 1, m.waiting.Len())
			assert.Greater(t, m.Stats().Queued, m.maxPoints)
			assert.Zero(t, *dropped)
			assert.Equal(t, largest, m.waiting.At(0).largest)
		})
	}
}

// coarse returns a full queue whose entries are made of several collections of
// two points.
func coarse(t *testing.T, entries int) *Memory {
	t.Helper()
	m, _ := newCoalescing(t, 2*entries)
	for range 1000 {
		put(t, m, metrictest.Numbers(2, 1))
	}
	require.Greater(t, m.coalescer.target, 1)
	require.Greater(t, m.waiting.Len(), entries/2)
	return m
}

// A pass goes on at the entry at which it was, whatever leaves or comes back
// before that.
func TestAPassGoesOnWhereItWas(t *testing.T) {
	m := coarse(t, 32)
	m.coalescer.cursor = 5
	next := m.waiting.At(5)
	same := func(when string) {
		t.Helper()
		require.Same(t, next, m.waiting.At(m.coalescer.cursor), when)
	}
	a, b, c := take(t, m), take(t, m), take(t, m)
	same("after Take")
	require.NoError(t, b.Return())
	same("after Return")
	require.NoError(t, a.Return())
	same("after Return before what has been returned")
	require.NoError(t, c.Return())
	same("after Return behind what has been returned")
	require.Equal(t, 5, m.coalescer.cursor)
	m.lock()
	m.evict(10)
	m.unlock()
	same("after the oldest was dropped")
}

// A single delivery from a full queue does not make new collections stay apart:
// the queue would be full again at once, and its resolution uneven.
func TestALittleRoomDoesNotMakeNewCollectionsStayApart(t *testing.T) {
	const entries = 32
	m := coarse(t, entries)
	for m.waitingPoints() < 2*entries { // no room is left
		put(t, m, metrictest.Numbers(2, 1))
	}
	target := m.coalescer.target
	settle(t, take(t, m))
	put(t, m, metrictest.Numbers(2, 1))
	assert.Equal(t, target, m.coalescer.target, "after room for one")

	for range entries/relaxedShare + 1 {
		settle(t, take(t, m))
	}
	put(t, m, metrictest.Numbers(2, 1))
	assert.Equal(t, 1, m.coalescer.target, "after much room")
}

// What is taken and returned has not been delivered.
func TestAReturnedEntryDoesNotMakeNewCollectionsStayApart(t *testing.T) {
	m := coarse(t, 32)
	target := m.coalescer.target
	for range 10 {
		e := take(t, m)
		require.NoError(t, e.Return())
	}
	m.coalescer.cursor = 0
	for m.waitingPoints() > m.maxPoints/2 && m.findPair(maxJoinSteps) {
		m.joinPair()
	}
	put(t, m, metrictest.Numbers(2, 1))
	assert.GreaterOrEqual(t, m.coalescer.target, target)
}
