package asyncmetric_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestExportsStartNoCloserThanTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, nil, errTransient)}
		e, _ := start(t, inner, fixed, asyncmetric.WithMinInterval(5*time.Second), asyncmetric.WithMaxExportBatchSize(2))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(4, 1)))
		elapse(12 * time.Second)
		export(t, e, 2)
		elapse(time.Second)
		export(t, e, 3)
		elapse(time.Hour)
		export(t, e, 4, 5)
		elapse(time.Hour)
		s := time.Second
		assert.Equal(t, []time.Duration{0, 5 * s, 10 * s, 15 * s, 20 * s, 3613 * s, 3618 * s}, at,
			"batches, repetitions and collections; what comes late goes at once")
		shutdown(t, e, inner)
	})
}

func TestIntervalIsThatOfAllReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		begin := time.Now()
		inner, opt := replicas(3)
		for _, inner := range inner {
			inner.OnExport = func(context.Context, *metricdata.ResourceMetrics) error {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(begin))
				return nil
			}
		}
		e, _ := start(t, inner[0], opt, asyncmetric.WithMinInterval(time.Second), asyncmetric.WithMaxExportBatchSize(5000))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(6*5000, 1))) // large enough that their copies overlap
		elapse(time.Hour)
		s := time.Second
		assert.Equal(t, []time.Duration{0, s, 2 * s, 3 * s, 4 * s, 5 * s}, slices.Sorted(slices.Values(at)))
		shutdownAll(t, e, inner)
	})
}

func TestFlushWaitsForTheIntervalWithinItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithMinInterval(time.Minute))
		export(t, e, 1, 2)
		synctest.Wait()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := e.ForceFlush(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "1 data point still queued")
		assert.Equal(t, time.Second, time.Since(begin))
		assert.Len(t, inner.Attempts(), 1)

		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, e.ForceFlush(ctx))
		assert.Equal(t, time.Minute, time.Since(begin))
		shutdown(t, e, inner)
	})
}

func TestShutdownWaitsForTheIntervalWithinItsContext(t *testing.T) {
	for patience, delivered := range map[time.Duration]int{
		90 * time.Second: 2,
		5 * time.Minute:  4,
	} {
		synctest.Test(t, func(t *testing.T) {
			inner := &metrictest.Exporter{}
			e, _ := start(t, inner, asyncmetric.WithMinInterval(time.Minute))
			export(t, e, 1, 2, 3, 4)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			begin := time.Now()
			err := e.Shutdown(ctx)
			assert.LessOrEqual(t, time.Since(begin), patience)
			assert.Len(t, inner.Delivered(), delivered)
			assert.Equal(t, delivered == 4, err == nil, "%v", err)
			assert.Equal(t, uint64(4-delivered), e.Stats().Dropped)
			assert.Equal(t, 1, inner.Count("Shutdown"))
			assertSettled(t, e.Stats())
		})
	}
}

func TestElapsedTimeCountsTheIntervalOfOtherReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(4)
		var at [4][]time.Duration
		for i, inner := range inner {
			inner.OnExport = failing(&at[i], errTransient, errTransient, errTransient)
		}
		e, _ := start(t, inner[0], opt, asyncmetric.WithMinInterval(10*time.Second), asyncmetric.WithMaxExportBatchSize(1),
			asyncmetric.WithRetry(asyncmetric.Retry{MaxElapsedTime: 15 * time.Second}))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(4, 1)))
		elapse(time.Hour)
		for _, at := range at {
			assert.LessOrEqual(t, at[len(at)-1]-at[0], 15*time.Second)
		}
		shutdownAll(t, e, inner)
	})
}

func TestElapsedTimeCountsTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient)}
		e, r := start(t, inner, asyncmetric.WithMinInterval(10*time.Second),
			asyncmetric.WithRetry(asyncmetric.Retry{MaxElapsedTime: 5 * time.Second}))
		export(t, e, 1)
		synctest.Wait()
		assert.Equal(t, uint64(1), e.Stats().Dropped, "at once: there is nothing to wait for")
		elapse(time.Hour)
		assert.Len(t, at, 1, "the next would come after 10 s")
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonElapsed: 1}, r.dropped())
		shutdown(t, e, inner)
	})
}

// The copy of a batch takes time, which must not make the next export start
// too early.
func TestTheIntervalBeginsWhenTheExportStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at)}
		e, g := held(t, inner, asyncmetric.WithQueue(newSlowQueue(t, 3*time.Second, 1)), asyncmetric.WithMerging(0),
			asyncmetric.WithMaxExportBatchSize(2), asyncmetric.WithMinInterval(10*time.Second))
		export(t, e, 1, 2, 3, 4)
		close(g.open)
		elapse(time.Hour)
		require.Len(t, at, 2)
		assert.GreaterOrEqual(t, at[1]-at[0], 10*time.Second)
		shutdown(t, e, inner)
	})
}

func TestABatchWhoseTimeIsOverWhileItWaitsForTheIntervalIsTheOnlyOneDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(2)
		var at []time.Duration
		fails := failing(&at, errTransient)
		for _, exporter := range inner {
			exporter.OnExport = fails // whichever is first; never both at once
		}
		e, r := start(t, inner[0], opt, asyncmetric.WithMinInterval(10*time.Second), asyncmetric.WithMaxExportBatchSize(1),
			asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: 12 * time.Second, Jitter: -1, MaxElapsedTime: 15 * time.Second}))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(4, 1)))
		elapse(time.Hour)
		assert.Equal(t, uint64(3), e.Stats().Exported, "the other exporter has its turn at 10 s, and the interval ends at 20 s")
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonElapsed: 1}, r.dropped())
		shutdownAll(t, e, inner)
	})
}
