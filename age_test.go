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
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func ageOnly(points int) map[asyncmetric.DropReason]int {
	return map[asyncmetric.DropReason]int{asyncmetric.ReasonAge: points}
}

func TestWhatIsTooOldIsDroppedWhenItsTurnComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, r := start(t, inner, asyncmetric.WithMaxAge(time.Minute))
		export(t, e, 1)
		elapse(0)
		export(t, e, 2, 3)
		elapse(10 * time.Second)
		export(t, e, 4)
		elapse(50*time.Second + 1)
		close(g.open)
		synctest.Wait()
		assert.Equal(t, []int64{1, 4}, metrictest.Values(inner.Delivered()), "of what came a minute ago nothing; what was under way ends as it does")
		assert.Equal(t, ageOnly(2), r.dropped())
		require.Len(t, r.errors(), 1, "there may be many, so they are not reported one by one")
		assert.ErrorContains(t, r.errors()[0], "1 data point dropped (age) by exporter "+e.Status().Name+": accepted longer ago than WithMaxAge allows: 1m0s")
		require.NoError(t, e.Shutdown(t.Context()))
		require.Len(t, r.errors(), 2)
		assert.ErrorContains(t, r.errors()[1], "1 data point dropped (age)", "the rest at Shutdown")
		assertSettled(t, e.Stats())
	})
}

func TestWhatIsExactlyAsOldAsAllowedIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient)}
		e, _ := start(t, inner, fixed, asyncmetric.WithMaxAge(time.Second))
		export(t, e, 1)
		elapse(time.Hour)
		assert.Equal(t, []int64{1}, metrictest.Values(inner.Delivered()))
		shutdown(t, e, inner)
	})
}

func TestAgeIsCheckedBeforeEachRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient, errTransient, errTransient)}
		e, r := start(t, inner, fixed, asyncmetric.WithMaxAge(5*time.Second), asyncmetric.WithMaxExportBatchSize(2))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(6, 1)))
		elapse(6 * time.Second)
		export(t, e, 2)
		flushErr := make(chan error, 1)
		elapse(500 * time.Millisecond)
		go func() { flushErr <- e.ForceFlush(t.Context()) }()
		synctest.Wait()
		s := time.Second
		assert.Equal(t, []time.Duration{0, 1 * s, 3 * s, 6500 * time.Millisecond}, at, "the fourth is of the next collection")
		assert.Equal(t, ageOnly(6), r.dropped(), "the batches behind the failed one are as old")
		assert.Len(t, r.drops, 1, "one drop for one collection")
		elapse(time.Second)
		assert.ErrorIs(t, <-flushErr, errTransient, "how the last attempt failed is part of the error")
		assert.Equal(t, []int64{2}, metrictest.Values(inner.Delivered()))
		shutdown(t, e, inner)
	})
}

func TestAgeOfJoinedCollectionsIsThatOfTheNewest(t *testing.T) {
	for later, delivered := range map[time.Duration][]int64{
		0: {0, 1 + 2 + 3},
		1: {0},
	} {
		synctest.Test(t, func(t *testing.T) {
			inner := &metrictest.Exporter{}
			e, g := held(t, inner, asyncmetric.WithMaxAge(time.Minute), asyncmetric.WithMaxQueueSize(1))
			for v := range int64(3) {
				elapse(15 * time.Second)
				export(t, e, 1+v)
			}
			elapse(time.Minute + later)
			close(g.open)
			synctest.Wait()
			assert.Equal(t, delivered, metrictest.Values(inner.Delivered()))
			assert.Equal(t, uint64(2), e.Stats().Coalesced)
			shutdown(t, e, inner)
		})
	}
}

func TestOfMergedCollectionsTheOldOnesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		failures := 0
		inner.OnExport = func(context.Context, *metricdata.ResourceMetrics) error {
			if failures++; failures <= 2 {
				return errTransient
			}
			return nil
		}
		e, g := held(t, inner, fixed, asyncmetric.WithMerging(0), asyncmetric.WithMaxAge(10*time.Second))
		for v := range int64(4) {
			elapse(4 * time.Second) // at 4, 8, 12, 16 s
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(2, 1+v)))
		}
		close(g.open)
		elapse(time.Hour)
		// Attempts at 16, 17 and 19 s.
		assert.Equal(t, [][]int64{{0}, {2, 3, 4}, {2, 3, 4}, {3, 4}}, batches(inner.Attempts()))
		assert.Equal(t, uint64(1+4), e.Stats().Exported)
		assert.Equal(t, uint64(4), e.Stats().Dropped)
		shutdown(t, e, inner)
	})
}

func TestEverythingMergedMayBeTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		e, g := held(t, inner, asyncmetric.WithMerging(0), asyncmetric.WithMaxAge(10*time.Second))
		export(t, e, 1, 2, 3)
		elapse(time.Minute)
		close(g.open)
		synctest.Wait()
		assert.Equal(t, [][]int64{{0}}, batches(inner.Attempts()))
		assert.Equal(t, uint64(3), e.Stats().Dropped)
		shutdown(t, e, inner)
	})
}
