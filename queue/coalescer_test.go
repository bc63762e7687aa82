package queue

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func newCoalescing(t *testing.T, maxPoints int) (m *Memory, dropped *int) {
	t.Helper()
	m, err := NewMemory(maxPoints, Coalesce)
	require.NoError(t, err)
	dropped = new(int)
	require.NoError(t, m.Start(Observer{Dropped: func(d Drop) { *dropped += d.Points }, Failed: func(error) {}}))
	return m, dropped
}

func put(t *testing.T, m *Memory, rm *metricdata.ResourceMetrics) {
	t.Helper()
	require.NoError(t, m.Put(t.Context(), rm))
	s := m.Stats()
	require.Equal(t, s.Accepted, s.Exported+s.Dropped+s.Coalesced+uint64(s.Queued))
	require.LessOrEqual(t, m.coalescer.cursor, max(0, m.waiting.Len()-1))
}

// parts returns of how many collections each waiting entry is made.
func (m *Memory) waitingParts() []int {
	parts := make([]int, m.waiting.Len())
	for i := range parts {
		parts[i] = m.waiting.At(i).parts
	}
	return parts
}

// drain takes and settles all that waits, and returns the sum of the values of
// the first series, which is the number of parts if each had the value 1.
func drain(t *testing.T, m *Memory) (total int64) {
	t.Helper()
	for {
		e, err := m.Take(t.Context(), Limit{})
		if err != nil {
			return total
		}
		for _, sm := range e.Collection().ScopeMetrics {
			for _, metric := range sm.Metrics {
				for _, p := range metric.Data.(metricdata.Sum[int64]).DataPoints {
					total += p.Value
				}
			}
		}
		require.NoError(t, e.Settle(Outcome{Exported: e.Points()}))
	}
}

// However long the queue is full, no entry but the newest spans more than twice
// the time of another, nothing is lost, and no Put does much.
func TestCoalesceKeepsResolutionEvenForEver(t *testing.T) {
	for _, entries := range []int{2, 3, 8, 50} {
		const points = 3
		m, dropped := newCoalescing(t, points*entries)
		const puts = 3_000
		for range puts {
			before := m.Stats()
			put(t, m, metrictest.Numbers(points, 1))
			after := m.Stats()
			require.LessOrEqual(t, after.Coalesced-before.Coalesced, uint64(2*points), "two pairs at most")
			require.LessOrEqual(t, after.Queued, points*entries)
			parts := m.waitingParts()
			even := parts[:len(parts)-1]
			if len(even) > 0 {
				require.LessOrEqual(t, slices.Max(even), 2*slices.Min(even), "%d entries: %v", entries, parts)
				require.LessOrEqual(t, parts[len(parts)-1], 2*slices.Max(even), "%v", parts)
			}
		}
		assert.GreaterOrEqual(t, m.waiting.Len(), max(1, entries/2), "the room is used")
		assert.Equal(t, int64(puts*points), drain(t, m))
		assert.Zero(t, *dropped)
	}
}

// After a partial delivery new collections are kept apart while there is room,
// and then the passes make all even again.
func TestCoalesceBecomesEvenAgainAfterAPartialDelivery(t *testing.T) {
	const points, entries = 2, 32
	m, _ := newCoalescing(t, points*entries)
	for range 1000 {
		put(t, m, metrictest.Numbers(points, 1))
	}
	for range entries / 2 {
		e, err := m.Take(t.Context(), Limit{})
		require.NoError(t, err)
		require.NoError(t, e.Settle(Outcome{Exported: points}))
	}
	for range 10 {
		put(t, m, metrictest.Numbers(points, 1))
	}
	parts := m.waitingParts()
	assert.Equal(t, slices.Repeat([]int{1}, 10), parts[len(parts)-10:], "what is new is fine while there is room")
	for range 1000 {
		put(t, m, metrictest.Numbers(points, 1))
	}
	parts = m.waitingParts()
	assert.LessOrEqual(t, slices.Max(parts[:len(parts)-1]), 2*slices.Min(parts[:len(parts)-1]), "%v", parts)
}

func TestCoalesceLeavesAloneWhatIsInFlight(t *testing.T) {
	m, _ := newCoalescing(t, 4)
	put(t, m, metrictest.Numbers(2, 7))
	e, err := m.Take(t.Context(), Limit{})
	require.NoError(t, err)
	for range 100 {
		put(t, m, metrictest.Numbers(2, 1))
		assert.Equal(t, int64(7), metrictest.Value(e.Collection()))
		assert.Equal(t, 2, e.Points())
	}
	require.NoError(t, e.Settle(Outcome{Exported: 2}))
	assert.Equal(t, int64(200), drain(t, m))
}

func TestAJoinedEntryKeepsThePositionOfItsOldestPart(t *testing.T) {
	m, _ := newCoalescing(t, 2)
	put(t, m, metrictest.Numbers(2, 1))
	position := m.Stats().Last
	put(t, m, metrictest.Numbers(2, 1)) // is joined to the first
	last := m.Stats().Last
	assert.Greater(t, last, position)
	e, err := m.Take(t.Context(), Limit{})
	require.NoError(t, err)
	assert.Equal(t, position, e.Position())
	assert.False(t, m.Stats().Passed(last), "what was joined to an entry ends with it")
	require.NoError(t, e.Settle(Outcome{Exported: 2}))
	assert.True(t, m.Stats().Passed(last))
}

func TestAgesOfAJoinedEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newCoalescing(t, 1)
		begin := time.Now()
		put(t, m, metrictest.Numbers(1, 1))
		time.Sleep(time.Minute)
		put(t, m, metrictest.Numbers(1, 1))
		assert.Equal(t, begin, m.Stats().Oldest)
		e, err := m.Take(t.Context(), Limit{})
		require.NoError(t, err)
		assert.Equal(t, begin.Add(time.Minute), e.Accepted())
	})
}

func withResource(rm *metricdata.ResourceMetrics, name string) *metricdata.ResourceMetrics {
	rm.Resource = resource.NewSchemaless(attribute.String("service.name", name))
	return rm
}

func TestCoalesceDropsTheOldestWhereNothingCanBeJoined(t *testing.T) {
	m, dropped := newCoalescing(t, 10)
	for i := range 100 {
		put(t, m, withResource(metrictest.Numbers(2, 1), fmt.Sprint(i)))
	}
	assert.Equal(t, 190, *dropped)
	assert.Equal(t, uint64(190), m.Stats().Dropped)
	assert.Equal(t, int64(10), drain(t, m))
}

func TestCoalesceJoinsOnlyEqualResources(t *testing.T) {
	m, dropped := newCoalescing(t, 10)
	for i := range 100 {
		put(t, m, withResource(metrictest.Numbers(2, 1), fmt.Sprint(i/50)))
	}
	assert.Zero(t, *dropped)
	for {
		e, err := m.Take(t.Context(), Limit{})
		if err != nil {
			break
		}
		assert.Equal(t, 2, e.Points())
		require.NoError(t, e.Settle(Outcome{Exported: 2}))
	}
	assert.Equal(t, uint64(200), m.Stats().Accepted)
}

// Series that are all new with each collection cannot be joined with anything.
func TestCoalesceDropsTheOldestWhereJoiningSavesNothing(t *testing.T) {
	m, dropped := newCoalescing(t, 10)
	for i := range 50 {
		rm := metrictest.Numbers(2, 1)
		rm.ScopeMetrics[0].Metrics[0].Name = fmt.Sprint(i)
		put(t, m, rm)
	}
	assert.Equal(t, 90, *dropped)
	assert.Zero(t, m.Stats().Coalesced)
}

func TestCollectionsLargerThanTheBoundLoseNoTotals(t *testing.T) {
	m, dropped := newCoalescing(t, 10)
	for range 1000 {
		put(t, m, metrictest.Numbers(25, 1))
		assert.Equal(t, 25, m.Stats().Queued)
	}
	assert.Zero(t, *dropped)
	assert.Equal(t, int64(25_000), drain(t, m))
}

// What waits alone may exceed the bound, but does not grow for ever.
func TestCollectionsLargerThanTheBoundStayBounded(t *testing.T) {
	m, _ := newCoalescing(t, 10)
	for i := range 1000 {
		rm := metrictest.Numbers(25, 1)
		rm.ScopeMetrics[0].Metrics[0].Name = fmt.Sprint(i)
		put(t, m, rm)
		require.LessOrEqual(t, m.Stats().Queued, maxGrowth*25)
	}
}

func TestCoalesceKeepsTotalsAtRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bound := rapid.IntRange(1, 40).Draw(rt, "bound")
		m, dropped := newCoalescing(t, bound)
		var in, out int64
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			if rapid.IntRange(0, 9).Draw(rt, "action") == 0 {
				if e, err := m.Take(t.Context(), Limit{}); err == nil {
					for _, p := range e.Collection().ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints {
						out += p.Value
					}
					require.NoError(rt, e.Settle(Outcome{Exported: e.Points()}))
				}
				continue
			}
			size, value := rapid.IntRange(1, 10).Draw(rt, "size"), rapid.Int64Range(-5, 5).Draw(rt, "value")
			in += int64(size) * value
			require.NoError(rt, m.Put(t.Context(), metrictest.Numbers(size, value)))
			s := m.Stats()
			require.Equal(rt, s.Accepted, s.Exported+s.Dropped+s.Coalesced+uint64(s.Queued))
			if m.waiting.Len() > 1 {
				require.LessOrEqual(rt, s.Queued, bound)
			}
		}
		out += drain(t, m)
		if bound >= 10 { // room for all series there are
			require.Zero(rt, *dropped)
			require.Equal(rt, in, out)
		}
	})
}

// Whatever waits may have become coarse before target was reset. However much
// coarser it is, the first Put that needs room finds a pair.
func TestACoarseBacklogHasRoomForWhatCannotBeJoinedToIt(t *testing.T) {
	const waiting = 20_000
	m, dropped := newCoalescing(t, waiting)
	for i := range waiting {
		put(t, m, metrictest.Numbers(1, 1))
		m.waiting.At(i).parts = 1 << 14
	}
	other := metrictest.Numbers(1, 1)
	other.Resource = resource.NewSchemaless(attribute.String("service.name", "another"))
	put(t, m, other)
	require.Zero(t, *dropped)
	require.Equal(t, int64(waiting+1), drain(t, m))
}

func TestCollectionsAreNotJoinedAcrossOneInFlight(t *testing.T) {
	m, err := NewMemory(2, Coalesce)
	require.NoError(t, err)
	put := func(value int64) { require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1, value))) }
	put(1)
	put(20)
	first, second := take(t, m), take(t, m)
	require.NoError(t, first.Return())
	put(300) // is full with the first one
	put(4000)
	require.NoError(t, second.Return())
	var values []int64
	for range 3 {
		e := take(t, m)
		values = append(values, metrictest.Value(e.Collection()))
		settle(t, e)
	}
	assert.Equal(t, []int64{1, 20, 4300}, values, "the second may be returned, and then has its place")
}

func TestACollectionDoesNotJoinAnOlderOneThanWhatIsInFlight(t *testing.T) {
	m, err := NewMemory(1, Coalesce)
	require.NoError(t, err)
	put := func(value int64) { require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1, value))) }
	put(1)
	first := take(t, m)
	put(20)
	second := take(t, m)
	require.NoError(t, first.Return())
	put(300)
	require.NoError(t, second.Return())
	var values []int64
	for m.Stats().Queued > 0 {
		e := take(t, m)
		values = append(values, metrictest.Value(e.Collection()))
		settle(t, e)
	}
	assert.Equal(t, []int64{20, 300}, values, "the order holds, if not everything")
}

func TestACollectionThatIsNotJoinedLeavesNoTrace(t *testing.T) {
	m, err := NewMemory(4, Coalesce)
	require.NoError(t, err)
	for value := range int64(2) {
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(2, value)))
	}
	m.lock()
	defer m.unlock()
	before := *m.newest()
	assert.False(t, m.joinNewest(metrictest.Numbers(5, 3), 5), "there is no room for the result")
	assert.Equal(t, before, *m.newest())
}
