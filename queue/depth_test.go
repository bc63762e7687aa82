package queue

import (
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// What a Put goes through it has to list, so the memory that it allocates shows how
// much that is. It is about the same however many collections wait.
func TestPutOnAFullQueueDoesNotGoThroughWhatWaits(t *testing.T) {
	const puts, depth = 300, 20_000
	for name, made := range unlike {
		t.Run(name, func(t *testing.T) {
			shallow, deep := allocatedByPuts(t, made, 200, puts), allocatedByPuts(t, made, depth, puts)
			t.Logf("bytes for a Put: %d at depth 200, %d at depth %d", shallow/puts, deep/puts, depth)
			assert.Less(t, deep, 2*shallow)
		})
	}
}

// allocatedByPuts returns how many bytes some Puts allocate on a full queue of depth
// collections of one data point.
func allocatedByPuts(t *testing.T, made func(int) *metricdata.ResourceMetrics, depth, puts int) int {
	t.Helper()
	m, err := NewMemory(Bound{Points: depth, Bytes: math.MaxInt64}, Coalesce)
	require.NoError(t, err)
	for i := range depth + depth/ahead { // the table of the series has grown by then
		require.NoError(t, m.Put(t.Context(), made(i)))
	}
	m.settleDown()
	all := make([]*metricdata.ResourceMetrics, puts)
	for i := range all {
		all[i] = made(2*depth + i)
	}
	dropped := m.Stats().Dropped
	before := allocated()
	for _, rm := range all {
		require.NoError(t, m.Put(t.Context(), rm))
	}
	m.settleDown()
	after := allocated()
	assert.Equal(t, uint64(puts), m.Stats().Dropped-dropped)
	require.NoError(t, m.Close())
	return after - before
}

func allocated() int {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.TotalAlloc)
}

// What was taken leaves the table of its lane; it is not made anew from all that waits.
func TestPutAfterATakeDoesNotGoThroughWhatWaits(t *testing.T) {
	const rounds = 100
	measure := func(depth int) int {
		m, err := NewMemory(Bound{Points: depth, Bytes: math.MaxInt64}, Coalesce)
		require.NoError(t, err)
		made := unlike["series"]
		n := 0
		put := func() { n++; require.NoError(t, m.Put(t.Context(), made(n))) }
		for range depth {
			put()
		}
		m.settleDown()
		before := allocated()
		for range rounds {
			settle(t, take(t, m))
			put()
			put()
		}
		m.settleDown()
		require.NoError(t, m.Close())
		return allocated() - before
	}
	shallow, deep := measure(200), measure(20_000)
	assert.Less(t, deep, 20*shallow, // now and then a Take overtakes a step, and the table is made anew
		"%d and %d bytes for a round", shallow/rounds, deep/rounds)
}
