package asyncmetric_test

import (
	"context"
	"errors"
	"fmt"
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

// failing returns an OnExport that fails with the errors, one after the other,
// and notes when it was called.
func failing(at *[]time.Duration, errs ...error) func(context.Context, *metricdata.ResourceMetrics) error {
	begin := time.Now()
	return func(context.Context, *metricdata.ResourceMetrics) error {
		*at = append(*at, time.Since(begin))
		if n := len(*at); n <= len(errs) {
			return errs[n-1]
		}
		return nil
	}
}

func TestRetryBacksOffExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{
			OnExport: failing(&at, errTransient, errTransient, errTransient, errTransient),
		}
		e, r := start(t, inner, fixed)
		export(t, e, 1, 2)
		elapse(time.Hour)
		s := time.Second
		assert.Equal(t, []time.Duration{0, 1 * s, 3 * s, 7 * s, 11 * s, 11 * s}, at, "1 s, 2 s, 4 s, then the maximum")
		assert.Equal(t, []int64{1, 1, 1, 1, 1, 2}, metrictest.Values(inner.Attempts()), "the order holds")
		assert.Equal(t, uint64(4), e.Stats().Retries)
		require.Len(t, r.errors(), 2, "the begin of the outage and its end")
		assert.ErrorIs(t, r.errors()[0], errTransient)
		shutdown(t, e, inner)
	})
}

func TestDefaultRetryVariesItsDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient)}
		e, _ := start(t, inner)
		export(t, e, 1)
		elapse(time.Hour)
		require.Len(t, at, 2)
		assert.InDelta(t, time.Second, at[1], float64(time.Second)/2)
		shutdown(t, e, inner)
	})
}

// hint is an error that asks for a delay.
type hint struct{ after time.Duration }

func (h hint) Error() string { return fmt.Sprintf("not before %v", h.after) }

func TestServerDelayIsHonouredUpToMaxInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{
			OnExport: failing(&at, hint{3 * time.Second}, hint{time.Hour}, hint{time.Millisecond}),
		}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{
			MaxInterval: 10 * time.Second,
			Multiplier:  1,
			Jitter:      -1,
			Classify: func(err error) asyncmetric.Verdict {
				var h hint
				if errors.As(err, &h) {
					return asyncmetric.Verdict{Action: asyncmetric.ActionRetry, After: h.after}
				}
				return asyncmetric.Verdict{}
			},
		}))
		export(t, e, 1)
		elapse(time.Hour)
		assert.Equal(t, []time.Duration{0, 3 * time.Second, 13 * time.Second, 14 * time.Second}, at)
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

func TestWithoutRetryTriesOnce(t *testing.T) {
	inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
		return errTransient
	}}
	e, r := start(t, inner, asyncmetric.WithoutRetry())
	export(t, e, 1)
	_ = e.ForceFlush(t.Context())
	assert.Len(t, inner.Attempts(), 1)
	assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 1}, r.dropped())
	shutdown(t, e, inner)
}

func TestMaxElapsedTimeEndsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient, errTransient, errTransient)}
		e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{Multiplier: 2, Jitter: -1, MaxElapsedTime: 5 * time.Second}))
		export(t, e, 1, 2)
		elapse(time.Hour)
		s := time.Second
		assert.Equal(t, []time.Duration{0, 1 * s, 3 * s, 3 * s}, at, "the fourth attempt would come after 7 s")
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonElapsed: 1}, r.dropped())
		assert.Equal(t, []int64{2}, metrictest.Values(inner.Delivered()))
		shutdown(t, e, inner)
	})
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

func TestCollectionsAreNeverPutTogether(t *testing.T) {
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

// PartialSuccess looks like the error that the OTLP exporters keep in an internal
// package.
type PartialSuccess struct {
	ErrorMessage  string
	RejectedItems int64
}

func (PartialSuccess) Error() string { return "OTLP partial success" }

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

func TestPanicIsThatBatchsError(t *testing.T) {
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

// hostile is an error whose methods panic, as those of a nil pointer do.
type hostile struct{ err error }

func (h *hostile) Error() string { return h.err.Error() }
func (h *hostile) Unwrap() error { return h.err }

func TestErrorWhoseMethodsPanicIsThatBatchsError(t *testing.T) {
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

// mutate does to a collection what an inner exporter might.
func mutate(rm *metricdata.ResourceMetrics) {
	for i := range rm.ScopeMetrics {
		for j := range rm.ScopeMetrics[i].Metrics {
			m := &rm.ScopeMetrics[i].Metrics[j]
			if data, ok := m.Data.(metricdata.Histogram[float64]); ok {
				for k := range data.DataPoints {
					clear(data.DataPoints[k].Bounds)
					clear(data.DataPoints[k].BucketCounts)
				}
				clear(data.DataPoints)
			}
			if data, ok := m.Data.(metricdata.Sum[int64]); ok {
				for k := range data.DataPoints {
					clear(data.DataPoints[k].Exemplars)
				}
				_ = append(data.DataPoints, metricdata.DataPoint[int64]{Value: -1})
				clear(data.DataPoints)
			}
			*m = metricdata.Metrics{}
		}
		rm.ScopeMetrics[i].Metrics = nil
	}
	rm.ScopeMetrics = rm.ScopeMetrics[:1]
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
