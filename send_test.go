package asyncmetric_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
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

func TestMergedCollectionsThatAreTooOldAreDropped(t *testing.T) {
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

func TestABatchOfMergedCollectionsThatAreAllTooOldIsNotSent(t *testing.T) {
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

func TestPermanentErrorDropsOnlyItsBatch(t *testing.T) {
	inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
		if metrictest.Value(rm) == 2 {
			return errPermanent
		}
		return nil
	}}
	e, r := start(t, inner)
	export(t, e, 1, 2, 3)
	_ = e.ForceFlush(t.Context())
	assert.Equal(t, []int64{1, 2, 3}, metrictest.Values(inner.Attempts()), "it is not tried again")
	assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 1}, r.dropped())
	require.Len(t, r.errors(), 1)
	assert.ErrorIs(t, r.errors()[0], errPermanent)
	shutdown(t, e, inner)
}

func TestAttemptHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		begin := time.Now()
		inner := &metrictest.Exporter{}
		inner.OnExport = func(ctx context.Context, _ *metricdata.ResourceMetrics) error {
			at = append(at, time.Since(begin))
			if len(at) == 1 {
				<-ctx.Done()
				return errors.New("something went wrong") // without saying that it was the deadline
			}
			return nil
		}
		e, r := start(t, inner, fixed, asyncmetric.WithExportTimeout(7*time.Second))
		export(t, e, 1)
		elapse(time.Hour)
		assert.Equal(t, []time.Duration{0, 8 * time.Second}, at, "an attempt that ran out of time is repeated")
		assert.ErrorIs(t, r.errors()[0], context.DeadlineExceeded)
		assert.ErrorContains(t, r.errors()[0], "something went wrong")
		shutdown(t, e, inner)
	})
}

func TestLargeCollectionIsSplit(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner, asyncmetric.WithMaxExportBatchSize(4))
	require.NoError(t, e.Export(t.Context(), metrictest.EveryKind(3))) // 54 points
	shutdown(t, e, inner)
	require.Len(t, inner.Delivered(), 14)
	sum := 0
	for _, rm := range inner.Delivered() {
		assert.LessOrEqual(t, batch.Points(rm), 4)
		sum += batch.Points(rm)
	}
	assert.Equal(t, 54, sum)
	assert.Equal(t, uint64(54), e.Stats().Exported)
}

func TestZeroBatchSizeNeverSplits(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner, asyncmetric.WithMaxExportBatchSize(0))
	require.NoError(t, e.Export(t.Context(), metrictest.Numbers(20000, 1)))
	shutdown(t, e, inner)
	assert.Len(t, inner.Delivered(), 1)
}

func TestCollectionsAreNotMergedByDefault(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner)
	export(t, e, 1, 2, 3)
	shutdown(t, e, inner)
	assert.Len(t, inner.Delivered(), 3)
}

func TestOnlyTheFailedBatchIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, nil, errTransient, errPermanent)}
		e, r := start(t, inner, fixed, asyncmetric.WithMaxExportBatchSize(2))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(6, 1)))
		elapse(time.Minute)
		assert.Equal(t, []time.Duration{0, 0, time.Second, time.Second}, at)
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 2}, r.dropped())
		assert.Equal(t, uint64(4), e.Stats().Exported)
		assert.Equal(t, uint64(2), e.Stats().Dropped)
		shutdown(t, e, inner)
	})
}

func TestPartialSuccessIsNeverRepeated(t *testing.T) {
	for _, test := range []struct {
		rejected          int64
		exported, dropped uint64
	}{{0, 5, 0}, {2, 3, 2}, {9, 0, 5}} {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			return fmt.Errorf("failed to upload: %w", errors.Join(PartialSuccess{RejectedItems: test.rejected}))
		}}
		e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{
			Classify: func(error) asyncmetric.Verdict { return asyncmetric.Verdict{Action: asyncmetric.ActionRetry} },
		}))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(5, 1)))
		_ = e.ForceFlush(t.Context())
		assert.Len(t, inner.Attempts(), 1, "the data was accepted, and would be counted twice")
		assert.Equal(t, test.exported, e.Stats().Exported)
		assert.Equal(t, test.dropped, e.Stats().Dropped)
		require.Len(t, r.errors(), 1)
		assert.ErrorContains(t, r.errors()[0], "OTLP partial success")
		shutdown(t, e, inner)
	}
}

func TestAPanicOfTheInnerExporterDropsOnlyItsBatch(t *testing.T) {
	inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
		if metrictest.Value(rm) == 1 {
			panic("out of order")
		}
		return nil
	}}
	e, r := start(t, inner)
	export(t, e, 1, 2)
	_ = e.ForceFlush(t.Context())
	require.Len(t, r.errors(), 1)
	assert.ErrorIs(t, r.errors()[0], asyncmetric.ErrPanic)
	assert.ErrorContains(t, r.errors()[0], "out of order")
	assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 1}, r.dropped())
	assert.Equal(t, []int64{2}, metrictest.Values(inner.Delivered()))
	shutdown(t, e, inner)
}

func TestAnErrorWhoseMethodsPanicDropsOnlyItsBatch(t *testing.T) {
	inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
		if metrictest.Value(rm) == 1 {
			var h *hostile
			return h
		}
		return nil
	}}
	e, r := start(t, inner)
	export(t, e, 1, 2)
	_ = e.Shutdown(t.Context())
	assert.Equal(t, []int64{2}, metrictest.Values(inner.Delivered()))
	require.Len(t, r.errors(), 1)
	assert.ErrorIs(t, r.errors()[0], asyncmetric.ErrPanic)
}

func TestMutationReachesNoOtherAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
			mutate(rm)
			attempts++
			if attempts%3 != 0 {
				return errTransient
			}
			return nil
		}}
		e, _ := start(t, inner, asyncmetric.WithMaxExportBatchSize(30))
		for range 3 {
			require.NoError(t, e.Export(t.Context(), metrictest.EveryKind(3)))
		}
		elapse(time.Hour)

		fresh := &metrictest.Exporter{} // gets the same batches, and leaves them alone
		f, _ := start(t, fresh, asyncmetric.WithMaxExportBatchSize(30))
		for range 3 {
			require.NoError(t, f.Export(t.Context(), metrictest.EveryKind(3)))
		}
		shutdown(t, f, fresh)

		require.Len(t, inner.Attempts(), 18)
		for i, rm := range inner.Attempts() {
			metricdatatest.AssertEqual(t, *fresh.Delivered()[i/3], *rm)
		}
		shutdown(t, e, inner)
	})
}

func TestARejectedErrorIsAPartialSuccessOfAnyExporter(t *testing.T) {
	for rejected, dropped := range map[int]uint64{-1: 0, 0: 0, 2: 2, 9: 5} {
		synctest.Test(t, func(t *testing.T) {
			inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
				return fmt.Errorf("upload: %w", &asyncmetric.RejectedError{Points: rejected, Err: errPermanent})
			}}
			then := inner.OnExport
			g := newGate()
			inner.OnExport = func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
				_ = g.pass(ctx)
				return then(ctx, rm)
			}
			e, r := start(t, inner)
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(5, 1)))
			flushed := make(chan error, 1)
			go func() { flushed <- e.ForceFlush(t.Context()) }()
			synctest.Wait()
			close(g.open)
			err := <-flushed
			assert.Equal(t, dropped, e.Stats().Dropped)
			assert.Equal(t, 5-dropped, e.Stats().Exported)
			assert.Equal(t, dropped > 0, err != nil, "%v", err)
			require.Len(t, r.errors(), 1)
			assert.ErrorIs(t, r.errors()[0], errPermanent)
			shutdown(t, e, inner)
		})
	}
}

// endless wraps itself, by one method or the other.
type (
	endless     struct{}
	endlessTree struct{}
)

func (endless) Error() string { return "endless" }

func (e endless) Unwrap() error { return e }

func (endlessTree) Error() string { return "endless" }

func (e endlessTree) Unwrap() []error { return []error{e, e} }

func TestErrorsThatWrapThemselvesAreErrorsLikeOthers(t *testing.T) {
	for _, endless := range []error{endless{}, endlessTree{}, fmt.Errorf("x: %w", endless{}), errors.Join(io.EOF, endless{})} {
		synctest.Test(t, func(t *testing.T) {
			fails := func(context.Context) error { return endless }
			inner := &metrictest.Exporter{OnForceFlush: fails, OnShutdown: fails, OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
				return endless
			}}
			e, r := start(t, inner, asyncmetric.WithMeterProvider(newMeters()))
			export(t, e, 1)
			elapse(time.Second)
			for _, err := range []error{e.ForceFlush(t.Context()), e.Shutdown(t.Context())} {
				assert.ErrorContains(t, err, "endless")
				assert.NotErrorIs(t, err, io.ErrUnexpectedEOF, "the search ends")
			}
			assert.Equal(t, uint64(1), e.Stats().Dropped)
			assert.NotEmpty(t, r.errors())
		})
		_ = asyncmetric.DefaultClassify(endless)
	}
}

func TestAPanicOfClassifyDropsOnlyItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient)}
		e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{
			Classify: func(error) asyncmetric.Verdict { panic("classify") },
		}))
		export(t, e, 1, 2)
		elapse(time.Hour)
		assert.Len(t, at, 2)
		assert.Equal(t, []int64{2}, metrictest.Values(inner.Delivered()))
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 1}, r.dropped())
		require.Len(t, r.errors(), 1)
		assert.ErrorIs(t, r.errors()[0], asyncmetric.ErrPanic)
		shutdown(t, e, inner)
	})
}

// quiet is an inner exporter that keeps nothing of what it gets.
type quiet struct{ metrictest.Exporter }

func (*quiet) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }

func TestMemoryOfALargeBatchGoesBack(t *testing.T) {
	heap := func() float64 {
		runtime.GC()
		runtime.GC() // what sync.Pool has survives the first one
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	e, err := asyncmetric.New(&quiet{}, asyncmetric.WithMaxExportBatchSize(0))
	require.NoError(t, err)
	deliver := func(points int) {
		require.NoError(t, e.Export(t.Context(), metrictest.Histograms(points)))
		require.NoError(t, e.ForceFlush(t.Context()))
	}
	deliver(10)
	before := heap()
	deliver(50_000)
	large := heap() - before
	for range 100 {
		deliver(10)
	}
	assert.Less(t, heap()-before, large/8, "bytes held after 100 small collections; the large one held %v", large)
	require.NoError(t, e.Shutdown(t.Context()))
}
