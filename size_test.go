package asyncmetric_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

var errTooLarge = errors.New("request body too large: exceeded 4194304 bytes")

// narrow is a backend that takes requests up to a size only. A point of a series
// that is among the large ones is as large as a thousand others.
type narrow struct {
	most     int
	large    []int64
	err      error
	requests []int // their points
}

func (n *narrow) export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	n.requests = append(n.requests, batch.Points(rm))
	size := batch.Points(rm)
	for id := range seriesIn(rm) {
		if slices.Contains(n.large, id) {
			size += 1000
		}
	}
	if size > n.most {
		return n.err
	}
	return nil
}

func TestABatchThatIsTooLargeIsHalvedUntilItFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &narrow{most: 30, err: errTooLarge}
		inner := &metrictest.Exporter{OnExport: backend.export}
		e, r := start(t, inner, asyncmetric.WithMaxExportBatchSize(100))
		require.NoError(t, e.Export(t.Context(), grown(100, 1)))
		elapse(0)
		assert.Equal(t, []int{100, 50, 25, 25, 25, 25}, backend.requests, "no half finds out anew, and nothing waits")
		assert.Equal(t, 25, e.Status().BatchLimit)

		backend.requests = nil
		require.NoError(t, e.Export(t.Context(), grown(60, 2)))
		elapse(0)
		assert.Equal(t, []int{25, 25, 10}, backend.requests, "nor does the next collection")
		assert.Empty(t, r.dropped())
		assert.Equal(t, uint64(160), e.Stats().Exported)
		shutdown(t, e, inner)
	})
}

func TestAPointThatIsTooLargeAloneTeachesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &narrow{most: 1000, large: []int64{70}, err: errTooLarge}
		inner := &metrictest.Exporter{OnExport: backend.export}
		e, r := start(t, inner)
		require.NoError(t, e.Export(t.Context(), grown(128, 1)))
		elapse(0)
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 1}, r.dropped())
		assert.Equal(t, uint64(127), e.Stats().Exported)
		assert.Zero(t, e.Status().BatchLimit)
		backend.large, backend.requests = nil, nil
		require.NoError(t, e.Export(t.Context(), grown(500, 2)))
		elapse(0)
		assert.Equal(t, []int{500}, backend.requests)
		shutdown(t, e, inner)
	})
}

func TestALargePointAmongBatchesThatAreTooLargeTeachesNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &narrow{most: 20, large: []int64{100}, err: errTooLarge}
		inner := &metrictest.Exporter{OnExport: backend.export}
		e, r := start(t, inner)
		for v := range int64(20) {
			require.NoError(t, e.Export(t.Context(), grown(128, v+1)))
			elapse(time.Second)
		}
		assert.Equal(t, 20, r.dropped()[asyncmetric.ReasonPermanent])
		assert.Equal(t, 16, e.Status().BatchLimit)
		assert.Less(t, len(backend.requests), 20*(8+2*4)+10)
		shutdown(t, e, inner)
	})
}

// The size that fits grows again, with one request in 32 at most that is refused.
func TestTheSizeThatFitsGrowsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &narrow{most: 10, err: errTooLarge}
		inner := &metrictest.Exporter{OnExport: backend.export}
		e, r := start(t, inner, asyncmetric.WithMaxExportBatchSize(200))
		send := func(n int) {
			for range n {
				require.NoError(t, e.Export(t.Context(), grown(200, 1)))
				elapse(time.Second)
			}
		}
		send(20)
		for range 20 {
			send(1)
			assert.Contains(t, []int{10, 11}, e.Status().BatchLimit, "what fits, or the next try")
		}
		refused := 0
		for _, points := range backend.requests {
			if points > 10 {
				refused++
			}
		}
		assert.LessOrEqual(t, refused, 5+len(backend.requests)/32)

		backend.most = 1000
		send(1500)
		assert.Zero(t, e.Status().BatchLimit, "the whole batch again")
		assert.Empty(t, r.dropped())
		shutdown(t, e, inner)
	})
}

// OUT_OF_RANGE is worth another attempt, and where it comes again it means the
// size.
func TestOutOfRangeThatRepeatsIsASize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &narrow{most: 30, err: grpcError(11)}
		inner := &metrictest.Exporter{OnExport: backend.export}
		e, r := start(t, inner, fixed)
		require.NoError(t, e.Export(t.Context(), grown(100, 1)))
		elapse(time.Minute)
		assert.Equal(t, []int{100, 100, 50, 25, 25, 25, 25}, backend.requests)
		assert.Empty(t, r.dropped())
		shutdown(t, e, inner)
	})
}

// Whatever fits, and whatever does not: what fits arrives, each series in order.
func TestAllThatFitsArrivesInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 60).Draw(rt, "most")
		large := rapid.SliceOfNDistinct(rapid.Int64Range(0, 39), 0, 3, rapid.ID).Draw(rt, "large")
		size := rapid.IntRange(0, 50).Draw(rt, "batch size")
		merging := size > 0 && rapid.Bool().Draw(rt, "merging")
		bound := rapid.IntRange(80, 200).Draw(rt, "bound")
		away := rapid.IntRange(0, 3).Draw(rt, "away")
		synctest.Test(t, func(t *testing.T) {
			strict := newStrict(t, nil)
			limit := &narrow{most: most, large: large, err: errTooLarge}
			calls := 0
			strict.refuses = func(rm *metricdata.ResourceMetrics) error {
				if calls++; away > 0 && calls%(away+1) != 0 {
					return errTransient
				}
				return limit.export(context.Background(), rm)
			}
			inner := strict.exporter()
			opts := []asyncmetric.Option{asyncmetric.WithMaxExportBatchSize(size), asyncmetric.WithMaxQueueSize(bound)}
			if merging {
				opts = append(opts, asyncmetric.WithMerging(0))
			}
			e, r := start(t, inner, opts...)
			for v := range int64(20) {
				require.NoError(t, e.Export(t.Context(), grown(40, v+1)))
				elapse(time.Second)
				assertConserved(t, e.Stats())
			}
			elapse(24 * time.Hour)
			assert.Len(t, strict.last, 40-len(large))
			for id, last := range strict.last {
				assert.Equal(t, int64(20), last, "series %d", id)
			}
			if len(large) == 0 {
				assert.Empty(t, r.dropped())
			}
			assertNoPanic(t, r)
			shutdown(t, e, inner)
		})
	})
}

// Of a merged batch, one collection may be left when the others are too old.
func TestWhatIsLeftOfAMergedBatchIsHalved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		g := newGate()
		backend := newStrict(t, nil)
		limit := &narrow{most: 5, err: errTooLarge}
		backend.refuses = func(rm *metricdata.ResourceMetrics) error {
			switch {
			case time.Since(begin) == 0:
				return g.pass(context.Background())
			case time.Since(begin) < 2*time.Minute:
				return errTransient
			}
			return limit.export(context.Background(), rm)
		}
		inner := backend.exporter()
		e, r := start(t, inner, asyncmetric.WithMerging(0), asyncmetric.WithMaxAge(90*time.Second))
		require.NoError(t, e.Export(t.Context(), grown(1, 1)))
		elapse(0)
		require.NoError(t, e.Export(t.Context(), grown(10, 2))) // is too old when the backend is well
		elapse(time.Minute)
		require.NoError(t, e.Export(t.Context(), grown(10, 3)))
		close(g.open)
		elapse(5 * time.Minute)
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonAge: 10}, r.dropped())
		assert.Equal(t, uint64(11), e.Stats().Exported)
		assertNoPanic(t, r)
		shutdown(t, e, inner)
	})
}

func TestWhatIsNotUTF8CostsItsPointOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rm := grown(100, 1)
		points := rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints
		for _, i := range []int{3, 50, 99} {
			points[i].Attributes = attribute.NewSet(attribute.Int("series", i), attribute.String("agent", "caf\xe9"))
		}
		requests := 0
		inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
			requests++
			for _, p := range rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints {
				if p.Attributes.HasValue("agent") {
					return errors.New("string field contains invalid UTF-8")
				}
			}
			return nil
		}}
		e, r := start(t, inner)
		require.NoError(t, e.Export(t.Context(), rm))
		elapse(0)
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 3}, r.dropped())
		assert.Equal(t, uint64(97), e.Stats().Exported)
		assert.Equal(t, 2, requests)
		assert.Equal(t, 1, r.drops[0].Attempts)
		shutdown(t, e, inner)
	})
}

func TestBisectFindsTheBadPoints(t *testing.T) {
	for name, c := range map[string]struct {
		bisect bool
		bad    []int64
		most   int // points lost
	}{
		"off":                    {false, []int64{9}, 1000},
		"one point":              {true, []int64{9}, 1},
		"three points":           {true, []int64{9, 500, 999}, 3},
		"more than the requests": {true, []int64{1, 101, 201, 301, 401, 501, 601, 701, 801, 901}, 999},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := newStrict(t, contains(errPermanent, c.bad...))
				inner := backend.exporter()
				e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{Bisect: c.bisect}))
				require.NoError(t, e.Export(t.Context(), grown(1000, 1)))
				elapse(0)
				lost := r.dropped()[asyncmetric.ReasonPermanent]
				assert.LessOrEqual(t, lost, c.most)
				assert.GreaterOrEqual(t, lost, len(c.bad))
				assert.LessOrEqual(t, backend.attempts, 70)
				assert.Equal(t, uint64(1000-lost), e.Stats().Exported)
				shutdown(t, e, inner)
			})
		})
	}
}
