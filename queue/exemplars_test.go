package queue

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// withExemplars returns a collection of n points of the value 1 that has an exemplar
// for each of them.
func withExemplars(n int) *metricdata.ResourceMetrics {
	rm := metrictest.Numbers(n, 1)
	for _, metric := range rm.ScopeMetrics[0].Metrics {
		points := metric.Data.(metricdata.Sum[int64]).DataPoints
		for i := range points {
			points[i].Exemplars = []metricdata.Exemplar[int64]{{
				FilteredAttributes: []attribute.KeyValue{attribute.Int("user", i)},
				Time:               metrictest.Epoch, Value: 1, SpanID: make([]byte, 8), TraceID: make([]byte, 16),
			}}
		}
	}
	return rm
}

// exemplarsOf returns how many exemplars, and what total, a collection has.
func exemplarsOf(rm *metricdata.ResourceMetrics) (exemplars int, total int64) {
	for _, metric := range rm.ScopeMetrics[0].Metrics {
		for _, p := range metric.Data.(metricdata.Sum[int64]).DataPoints {
			exemplars += len(p.Exemplars)
			total += p.Value
		}
	}
	return exemplars, total
}

// While there are exemplars to leave out, nothing else is lost. Those of the newest
// collections go last.
func TestExemplarsGoBeforeAnyResolutionDoes(t *testing.T) {
	const points = 50
	bound := Bound{Bytes: int64(20 * batch.Bytes(withExemplars(points)))}
	for puts, some, joined := 1, false, false; !joined; puts++ {
		m, err := NewMemory(bound, Coalesce)
		require.NoError(t, err)
		for range puts {
			require.NoError(t, m.Put(t.Context(), withExemplars(points)))
			require.LessOrEqual(t, m.Stats().Bytes, bound.Bytes)
		}
		m.settleDown()
		s := m.Stats()
		require.Zero(t, s.Dropped)
		some = some || s.Exemplars > 0 && s.Coalesced == 0
		kept, total, begun := 0, int64(0), false
		for m.Stats().Queued > 0 {
			e := take(t, m)
			require.Equal(t, points, e.Points())
			n, sum := exemplarsOf(e.Collection())
			require.Contains(t, []int{0, points}, n)
			require.False(t, begun && n == 0, "a newer collection than another lost its exemplars")
			begun = n > 0
			kept += n
			total += sum
			settle(t, e)
		}
		require.Equal(t, int64(puts*points), total)
		if joined = s.Coalesced > 0; joined {
			require.LessOrEqual(t, kept, points, "%d collections: all but the newest lose their exemplars before any is joined", puts)
			require.True(t, some, "exemplars go before anything is joined")
		} else {
			require.Equal(t, puts, s.Collections)
			require.Equal(t, puts*points, kept+int(s.Exemplars), "each exemplar arrives or is counted")
		}
		require.NoError(t, m.Close())
	}
}

// A queue that stays full joins, and loses no point or total.
func TestAFullQueueOfCollectionsWithExemplarsKeepsTotals(t *testing.T) {
	const points, puts = 50, 500
	m, err := NewMemory(Bound{Bytes: int64(20 * batch.Bytes(withExemplars(points)))}, Coalesce)
	require.NoError(t, err)
	for range puts {
		require.NoError(t, m.Put(t.Context(), withExemplars(points)))
		require.LessOrEqual(t, m.Stats().Bytes, m.bound.Bytes)
	}
	m.settleDown()
	s := m.Stats()
	assert.Zero(t, s.Dropped)
	assert.Positive(t, s.Coalesced)
	assert.Positive(t, s.Exemplars)
	assert.Equal(t, s.Accepted, s.Coalesced+uint64(s.Queued))
	total := int64(0)
	for m.Stats().Queued > 0 {
		e := take(t, m)
		_, sum := exemplarsOf(e.Collection())
		total += sum
		settle(t, e)
	}
	assert.Equal(t, int64(puts*points), total)
	require.NoError(t, m.Close())
}

// Where room must be made ahead, joining the older ones does, and the newest
// collection keeps its exemplars.
func TestTheNewestCollectionKeepsItsExemplars(t *testing.T) {
	const points = 50
	m, err := NewMemory(Bound{Bytes: int64(20 * batch.Bytes(withExemplars(points)))}, Coalesce)
	require.NoError(t, err)
	for range 500 {
		require.NoError(t, m.Put(t.Context(), withExemplars(points)))
	}
	m.settleDown()
	var newest int
	for m.Stats().Queued > 0 {
		e := take(t, m)
		newest, _ = exemplarsOf(e.Collection())
		settle(t, e)
	}
	assert.Equal(t, points, newest)
	require.NoError(t, m.Close())
}
