package asyncmetric_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// noJitter is a Retry of one second between attempts.
func noJitter(limit time.Duration) asyncmetric.Option {
	return asyncmetric.WithRetry(asyncmetric.Retry{Multiplier: 1, Jitter: -1, MaxElapsedTime: limit})
}

func TestMaxElapsedTimeCostsOnlyTheBatchThatUsesItUp(t *testing.T) {
	for name, option := range map[string]func(*testing.T) asyncmetric.Option{
		"memory":  func(*testing.T) asyncmetric.Option { return asyncmetric.WithMaxQueueSize(1000) },
		"durable": func(t *testing.T) asyncmetric.Option { return asyncmetric.WithQueue(durable{newQueue(t)}) },
		// The wait for the interval comes after the check of the back-off.
		"with an interval": func(*testing.T) asyncmetric.Option {
			return asyncmetric.WithMinInterval(1100 * time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
					time.Sleep(time.Millisecond)
					if series(rm) == 0 { // the first batch of each collection
						return errTransient
					}
					return nil
				}}
				e, r := start(t, inner, option(t), asyncmetric.WithMaxExportBatchSize(1), noJitter(time.Second))
				for v := range int64(2) {
					require.NoError(t, e.Export(t.Context(), metrictest.Numbers(5, v)))
				}
				elapse(time.Minute)
				assert.Equal(t, uint64(8), e.Stats().Exported)
				assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonElapsed: 2}, r.dropped())
				assert.Zero(t, e.Stats().Queued)
				assert.NoError(t, e.ForceFlush(t.Context()), "nothing is left hanging")
				shutdown(t, e, inner)
			})
		})
	}
}

func TestZeroFieldsOfRetryMeanTheDefault(t *testing.T) {
	delays := map[time.Duration]bool{}
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Duration
			inner := &metrictest.Exporter{OnExport: failing(&at, errTransient)}
			e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{MaxElapsedTime: time.Hour}))
			export(t, e, 1)
			elapse(time.Minute)
			require.Len(t, at, 2)
			assert.InDelta(t, time.Second, at[1], float64(time.Second)/2)
			delays[at[1]] = true
			shutdown(t, e, inner)
		})
	}
	assert.Greater(t, len(delays), 1, "a fleet would come back in one instant: %v", delays)

	e, _ := start(t, &metrictest.Exporter{}, asyncmetric.WithRetry(asyncmetric.Retry{MaxInterval: time.Millisecond}))
	require.NoError(t, e.Shutdown(t.Context()), "one interval bounds the other")
	e, _ = start(t, &metrictest.Exporter{}, asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Hour}))
	require.NoError(t, e.Shutdown(t.Context()))
}

func TestADelayOfTheServerIsLengthenedAtRandomAndNeverShortened(t *testing.T) {
	waits := map[time.Duration]bool{}
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Duration
			inner := &metrictest.Exporter{OnExport: failing(&at, hint{10 * time.Second})}
			e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{Classify: asHint}))
			export(t, e, 1)
			elapse(time.Minute)
			require.Len(t, at, 2)
			assert.GreaterOrEqual(t, at[1], 10*time.Second)
			assert.LessOrEqual(t, at[1], 15*time.Second)
			waits[at[1]] = true
			shutdown(t, e, inner)
		})
	}
	assert.Greater(t, len(waits), 1, "%v", waits)
}

func TestADelayOfTheServerOutlivesItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, hint{10 * time.Second})}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{
			Jitter: -1, MaxElapsedTime: time.Second, Classify: asHint,
		}))
		export(t, e, 1, 2)
		elapse(time.Minute)
		assert.Equal(t, []time.Duration{0, 10 * time.Second}, at, "the second collection waits, too")
		_ = e.Shutdown(t.Context())
	})
}

func TestZeroVerdictLeavesTheDecisionToTheDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient, nil, errPermanent)}
		e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{
			Classify: func(error) asyncmetric.Verdict { return asyncmetric.Verdict{} },
		}))
		export(t, e, 1, 2)
		elapse(time.Minute)
		assert.Equal(t, uint64(1), e.Stats().Exported)
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 1}, r.dropped())
		shutdown(t, e, inner)
	})
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

func TestADelayOfTheServerHoldsAlsoWhenItsBatchIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, hint{10 * time.Second})}
		e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{
			Jitter: -1,
			Classify: func(err error) asyncmetric.Verdict {
				return asyncmetric.Verdict{Action: asyncmetric.ActionDrop, After: err.(hint).after}
			},
		}))
		export(t, e, 1, 2)
		elapse(time.Minute)
		assert.Equal(t, []time.Duration{0, 10 * time.Second}, at)
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 1}, r.dropped())
		shutdown(t, e, inner)
	})
}

func TestANilRejectedErrorIsAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			var rejected *asyncmetric.RejectedError
			return rejected
		}}
		e, _ := start(t, inner)
		export(t, e, 1)
		synctest.Wait()
		assert.Zero(t, e.Stats().Dropped)
		_ = e.Shutdown(t.Context())
	})
}

func TestAServerMayNameAnyDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			return hint{math.MaxInt64}
		}}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Millisecond, MaxInterval: math.MaxInt64, Classify: func(err error) asyncmetric.Verdict {
			return asyncmetric.Verdict{Action: asyncmetric.ActionRetry, After: math.MaxInt64}
		}}))
		export(t, e, 1)
		elapse(time.Second)
		assert.Len(t, inner.Attempts(), 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = e.Shutdown(ctx)
	})
}
