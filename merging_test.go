package asyncmetric_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestMergingJoinsWhatWaitsUpToABatch(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, g := held(t, inner, asyncmetric.WithMerging(0), asyncmetric.WithMaxExportBatchSize(10))
	for v := range int64(8) {
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(3, 1+v)))
	}
	close(g.open)
	shutdown(t, e, inner)
	assert.Equal(t, [][]int64{{0}, {1, 2, 3}, {4, 5, 6}, {7, 8}}, batches(inner.Delivered()))
	for _, rm := range inner.Delivered() {
		assert.Len(t, rm.ScopeMetrics, 1)
		assert.Len(t, rm.ScopeMetrics[0].Metrics, 1, "the same stream is one metric")
	}
	assert.Equal(t, uint64(25), e.Stats().Exported)
}

func TestMergingFillsABatchExactly(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, g := held(t, inner, asyncmetric.WithMerging(0), asyncmetric.WithMaxExportBatchSize(4))
	export(t, e, 1, 2, 3, 4, 5, 6, 7, 8)
	close(g.open)
	require.NoError(t, e.ForceFlush(t.Context()))
	assert.Equal(t, [][]int64{{0}, {1, 2, 3, 4}, {5, 6, 7, 8}}, batches(inner.Delivered()))
	shutdown(t, e, inner)
}

func TestMergingIsOffByDefault(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, g := held(t, inner)
	export(t, e, 1, 2)
	close(g.open)
	shutdown(t, e, inner)
	assert.Equal(t, [][]int64{{0}, {1}, {2}}, batches(inner.Delivered()))
}

func TestMergingKeepsResourcesApart(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, g := held(t, inner, asyncmetric.WithMerging(0))
	for v, from := range []int{0, 0, 1, 0} {
		rm := metrictest.Numbers(1, int64(1+v))
		rm.Resource = resources[from]
		require.NoError(t, e.Export(t.Context(), rm))
	}
	close(g.open)
	shutdown(t, e, inner)
	assert.Equal(t, [][]int64{{0}, {1, 2}, {3}, {4}}, batches(inner.Delivered()), "neighbours only")
	assert.Equal(t, resources[1], inner.Delivered()[2].Resource)
}

func TestLargeCollectionsAreSplitAndDoNotLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithMerging(time.Hour), asyncmetric.WithMaxExportBatchSize(4))
		for v := range int64(2) {
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(6, 1+v)))
		}
		synctest.Wait()
		var sizes []int
		for _, rm := range inner.Delivered() {
			sizes = append(sizes, batch.Points(rm))
		}
		assert.Equal(t, []int{4, 2, 4, 2}, sizes)
		shutdown(t, e, inner)
	})
}

func TestLingerWaitsForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithMerging(10*time.Second))
		export(t, e, 1)
		elapse(4 * time.Second)
		export(t, e, 2)
		elapse(5 * time.Second)
		export(t, e, 3)
		assert.Equal(t, 3, e.Stats().Queued)
		assert.Empty(t, inner.Attempts())
		elapse(time.Second)
		assert.Equal(t, [][]int64{{1, 2, 3}}, batches(inner.Delivered()), "10 s after the first")
		export(t, e, 4)
		elapse(9 * time.Second)
		assert.Len(t, inner.Attempts(), 1)
		elapse(time.Second)
		assert.Equal(t, [][]int64{{1, 2, 3}, {4}}, batches(inner.Delivered()))
		shutdown(t, e, inner)
	})
}

// lingering is what must happen to three collections of a point that linger,
// in batches of five, without time passing.
func lingering(t *testing.T, want [][]int64, act func(*testing.T, *asyncmetric.Exporter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithMerging(time.Hour), asyncmetric.WithMaxExportBatchSize(5))
		export(t, e, 1, 2)
		elapse(time.Minute)
		export(t, e, 3)
		synctest.Wait()
		require.Empty(t, inner.Attempts())
		begin := time.Now()
		act(t, e)
		synctest.Wait()
		assert.Equal(t, want, batches(inner.Delivered()))
		assert.Zero(t, time.Since(begin))
		_ = e.Shutdown(t.Context())
		assertSettled(t, e.Stats())
	})
}

func TestALingerEndsEarlyFor(t *testing.T) {
	t.Run("a flush", func(t *testing.T) {
		lingering(t, [][]int64{{1, 2, 3}}, func(t *testing.T, e *asyncmetric.Exporter) {
			require.NoError(t, e.ForceFlush(t.Context()))
		})
	})
	t.Run("a shutdown", func(t *testing.T) {
		lingering(t, [][]int64{{1, 2, 3}}, func(t *testing.T, e *asyncmetric.Exporter) {
			require.NoError(t, e.Shutdown(t.Context()))
		})
	})
	t.Run("a full batch", func(t *testing.T) {
		lingering(t, [][]int64{{1, 2, 3, 4, 5}}, func(t *testing.T, e *asyncmetric.Exporter) {
			export(t, e, 4, 5)
		})
	})
	t.Run("a collection that does not fit", func(t *testing.T) {
		lingering(t, [][]int64{{1, 2, 3}}, func(t *testing.T, e *asyncmetric.Exporter) {
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(3, 4)))
		})
	})
	t.Run("a collection of another resource", func(t *testing.T) {
		lingering(t, [][]int64{{1, 2, 3}}, func(t *testing.T, e *asyncmetric.Exporter) {
			rm := metrictest.Numbers(1, 4)
			rm.Resource = resources[1]
			require.NoError(t, e.Export(t.Context(), rm))
		})
	})
}

func TestShutdownThatGivesUpEndsTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: newGate().export} // until its context ends
		e, _ := start(t, inner, asyncmetric.WithMerging(time.Hour))
		export(t, e, 1, 2, 3)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begin := time.Now()
		require.ErrorContains(t, e.Shutdown(ctx), "3 data points were not delivered")
		assert.Zero(t, time.Since(begin))
		assert.Equal(t, uint64(3), e.Stats().Dropped)
		assertSettled(t, e.Stats())
	})
}

func TestMergedBatchIsRetriedWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient)}
		inner.OnExport = mutating(inner.OnExport)
		e, g := held(t, inner, fixed, asyncmetric.WithMerging(0))
		export(t, e, 1, 2, 3)
		close(g.open)
		elapse(time.Hour)
		assert.Equal(t, [][]int64{{0}, {1, 2, 3}, {1, 2, 3}}, batches(inner.Attempts()))
		assert.Equal(t, uint64(4), e.Stats().Exported)
		shutdown(t, e, inner)
	})
}

func TestMergedCollectionsEndTogether(t *testing.T) {
	for name, c := range map[string]struct {
		err      error
		exported uint64
	}{
		"permanent":       {errPermanent, 1},
		"partial success": {PartialSuccess{RejectedItems: 4}, 1 + 5},
		"all rejected":    {PartialSuccess{RejectedItems: 100}, 1},
		"warning":         {PartialSuccess{RejectedItems: 0}, 1 + 9},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return c.err }}
				e, g := held(t, inner, asyncmetric.WithMerging(0))
				for v := range int64(3) {
					require.NoError(t, e.Export(t.Context(), metrictest.Numbers(3, 1+v)))
				}
				flushed := make(chan error, 1)
				go func() { flushed <- e.ForceFlush(t.Context()) }()
				synctest.Wait()
				close(g.open)
				if name == "warning" {
					assert.NoError(t, <-flushed, "nothing was lost")
				} else {
					assert.ErrorIs(t, <-flushed, c.err)
				}
				assert.Len(t, inner.Attempts(), 2)
				assert.Equal(t, c.exported, e.Stats().Exported)
				assert.Equal(t, 10-c.exported, e.Stats().Dropped)
				shutdown(t, e, inner)
			})
		})
	}
}

func TestMergedCollectionsInFlightAreOneBatch(t *testing.T) {
	g := newGate()
	inner := &metrictest.Exporter{OnExport: g.stuck}
	e, _ := start(t, inner, asyncmetric.WithMerging(0), asyncmetric.WithMaxExportBatchSize(10))
	for i := range 20 {
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(3, int64(i))))
	}
	for range 3 {
		<-g.arrived
		assert.LessOrEqual(t, e.Stats().InFlight, 10)
		g.open <- struct{}{}
	}
	close(g.open)
	shutdown(t, e, inner)
}
