package queue

import (
	"fmt"
	"math/bits"
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
	m, err := NewMemory(Bound{Points: maxPoints}, Coalesce)
	require.NoError(t, err)
	dropped = new(int)
	require.NoError(t, m.Start(Observer{Dropped: func(d Drop) { *dropped += d.Points }, Failed: func(error) {}}))
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m, dropped
}

func put(t *testing.T, m *Memory, rm *metricdata.ResourceMetrics) {
	t.Helper()
	require.NoError(t, m.Put(t.Context(), rm))
	s := m.Stats()
	require.Equal(t, s.Accepted, s.Exported+s.Dropped+s.Coalesced+uint64(s.Queued))
	if collections, points := m.Waiting(); collections > 1 {
		require.LessOrEqual(t, points, m.maxPoints)
	}
}

// drain takes and settles all that waits, and returns the sum of the values.
func drain(t *testing.T, m *Memory) (total int64) {
	t.Helper()
	for _, sum := range drainEach(t, m) {
		total += sum
	}
	return total
}

// drainEach takes and settles all that waits, and returns for each entry the sum of
// its values: the number of collections that it is made of, if each had one point
// with the value 1.
func drainEach(t *testing.T, m *Memory) (sums []int64) {
	t.Helper()
	m.settleDown()
	for {
		e, err := m.Take(t.Context(), Limit{})
		if err != nil {
			return sums
		}
		var sum int64
		for _, sm := range e.Collection().ScopeMetrics {
			for _, metric := range sm.Metrics {
				for _, p := range metric.Data.(metricdata.Sum[int64]).DataPoints {
					sum += p.Value
				}
			}
		}
		sums = append(sums, sum)
		require.NoError(t, e.Settle(Outcome{Exported: e.Points()}))
	}
}

func named(rm *metricdata.ResourceMetrics, name string) *metricdata.ResourceMetrics {
	rm.ScopeMetrics[0].Metrics[0].Name = name
	return rm
}

// requireEven requires that two neighbours are together made of at least half as
// many collections as any other entry, but for the few newest, which are finer.
func requireEven(t *testing.T, parts []int64, largest int64) {
	t.Helper()
	newest := 2 + bits.Len64(uint64(largest))
	for i := range len(parts) - newest {
		require.GreaterOrEqual(t, 2*(parts[i]+parts[i+1]), largest, "%v", parts)
	}
}

// However long the queue is full, it stays even, nothing is lost, and the room is
// used.
func TestCoalesceKeepsResolutionEven(t *testing.T) {
	for _, entries := range []int{2, 3, 8, 50} {
		for puts := 1; puts < 3_000; puts += 1 + puts/7 {
			m, dropped := newCoalescing(t, entries)
			for range puts {
				put(t, m, metrictest.Numbers(1, 1))
			}
			parts := drainEach(t, m)
			requireEven(t, parts, slices.Max(parts))
			require.GreaterOrEqual(t, len(parts), min(puts, max(1, entries/2)), "%v", parts)
			total := int64(0)
			for _, n := range parts {
				total += n
			}
			require.Equal(t, int64(puts), total)
			require.Zero(t, *dropped)
		}
	}
}

// What is said of one resource holds for all together.
func TestCoalesceKeepsResolutionEvenAcrossResourcesAndSizes(t *testing.T) {
	const puts, bound = 2_000, 400
	m, dropped := newCoalescing(t, bound)
	large, small := withResource(metrictest.Numbers(10, 1), "large"), withResource(metrictest.Numbers(1, 1), "small")
	for i := range puts {
		put(t, m, large)
		if i%4 != 0 {
			put(t, m, small)
		}
	}
	parts := map[int][]int64{}
	m.settleDown()
	for m.Stats().Queued > 0 {
		e := take(t, m)
		parts[e.Points()] = append(parts[e.Points()], metrictest.Value(e.Collection()))
		settle(t, e)
	}
	assert.Zero(t, *dropped)
	largest := slices.Max(slices.Concat(parts[1], parts[10]))
	requireEven(t, parts[1], largest)
	requireEven(t, parts[10], largest)
}

// After a partial delivery new collections stay apart while there is room, and
// then all become even again.
func TestCoalesceBecomesEvenAgainAfterAPartialDelivery(t *testing.T) {
	const entries = 32
	m, _ := newCoalescing(t, entries)
	fill := func() *Memory {
		for range 1000 {
			put(t, m, metrictest.Numbers(1, 1))
		}
		for range entries / 2 {
			settle(t, take(t, m))
		}
		for range 10 {
			put(t, m, metrictest.Numbers(1, 1))
		}
		return m
	}
	parts := drainEach(t, fill())
	assert.Equal(t, slices.Repeat([]int64{1}, 10), parts[len(parts)-10:], "what is new is fine while there is room")
	fill()
	for range 1000 {
		put(t, m, metrictest.Numbers(1, 1))
	}
	parts = drainEach(t, m)
	requireEven(t, parts, slices.Max(parts))
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
			if collections, points := m.Waiting(); collections > 1 {
				require.LessOrEqual(rt, points, bound)
			}
		}
		out += drain(t, m)
		if bound >= 10 { // room for all series there are
			require.Zero(rt, *dropped)
			require.Equal(rt, in, out)
		}
	})
}

func TestCollectionsAreNotJoinedAcrossOneInFlight(t *testing.T) {
	m, err := NewMemory(Bound{Points: 2}, Coalesce)
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
	m, err := NewMemory(Bound{Points: 1}, Coalesce)
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
