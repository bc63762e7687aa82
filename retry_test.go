package asyncmetric_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// The types below have the shape of gRPC's, which this module does not import;
// internal/test/integration checks the real ones.
type (
	code       uint32
	delayProto time.Duration
	retryInfo  struct{ delay time.Duration }
	status     struct {
		code    code
		details []any
	}
	statusError struct{ s *status }
)

func (d *delayProto) AsDuration() time.Duration { return time.Duration(*d) }

func (r *retryInfo) GetRetryDelay() *delayProto { d := delayProto(r.delay); return &d }

func (c code) String() string { return fmt.Sprintf("code %d", uint32(c)) }

func (s *status) Code() code { return s.code }

func (s *status) Details() []any { return s.details }

func (e *statusError) GRPCStatus() *status { return e.s }

func (*statusError) Error() string { return "rpc error" }

func grpcError(c code, details ...any) error {
	return fmt.Errorf("failed to upload: %w", errors.Join(&statusError{&status{c, details}}))
}

func TestDefaultClassify(t *testing.T) {
	const second = time.Second
	info := &retryInfo{7 * second}
	for _, test := range []struct {
		name  string
		err   error
		retry bool
		after time.Duration
	}{
		{"nil", nil, false, 0},
		{"any other error", errors.New("bad request"), false, 0},
		{"a panic", fmt.Errorf("%w: oops", asyncmetric.ErrPanic), false, 0},
		{"cancelled, but not by the exporter", context.Canceled, false, 0},
		{"deadline", fmt.Errorf("export: %w", context.DeadlineExceeded), true, 0},
		{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true, 0},
		{"refused, bare", fmt.Errorf("dial: %w", syscall.ECONNREFUSED), true, 0},
		{"reset, bare", fmt.Errorf("read: %w", syscall.ECONNRESET), true, 0},
		{"broken pipe, bare", fmt.Errorf("write: %w", syscall.EPIPE), true, 0},
		{"another errno, bare", fmt.Errorf("write: %w", syscall.ENOSPC), false, 0},
		{"name not found", &net.DNSError{Err: "no such host", IsNotFound: true}, true, 0},
		{"request failed", &url.Error{Op: "Post", Err: errors.New("anything")}, true, 0},
		{"certificate, bare", x509.UnknownAuthorityError{}, false, 0},
		{"EOF", fmt.Errorf("read: %w", io.EOF), true, 0},
		{"unexpected EOF", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), true, 0},
		{"joined", errors.Join(errors.New("one"), io.EOF), true, 0},
		{"joined twice", errors.Join(errors.New("one"), fmt.Errorf("two: %w", errors.Join(errors.New("three"), io.EOF))), true, 0},
		{"gRPC OK", grpcError(0), false, 0},
		{"gRPC Canceled", grpcError(1), true, 0},
		{"gRPC Unknown", grpcError(2), false, 0},
		{"gRPC InvalidArgument", grpcError(3), false, 0},
		{"gRPC DeadlineExceeded", grpcError(4), true, 0},
		{"gRPC NotFound", grpcError(5), false, 0},
		{"gRPC AlreadyExists", grpcError(6), false, 0},
		{"gRPC PermissionDenied", grpcError(7), false, 0},
		{"gRPC ResourceExhausted", grpcError(8), false, 0},
		{"gRPC ResourceExhausted with RetryInfo", grpcError(8, "text", nil, info), true, 7 * second},
		{"gRPC FailedPrecondition", grpcError(9, info), false, 0},
		{"gRPC Aborted", grpcError(10), true, 0},
		{"gRPC OutOfRange", grpcError(11), true, 0},
		{"gRPC Unimplemented", grpcError(12), false, 0},
		{"gRPC Internal", grpcError(13), false, 0},
		{"gRPC Unavailable", grpcError(14), true, 0},
		{"gRPC Unavailable with RetryInfo", grpcError(14, info), true, 7 * second},
		{"gRPC Unavailable with a negative RetryInfo", grpcError(14, &retryInfo{-second}), true, 0},
		{"gRPC DataLoss", grpcError(15), true, 0},
		{"gRPC Unauthenticated", grpcError(16), false, 0},
		{"gRPC without a status", &statusError{}, false, 0},
	} {
		want := asyncmetric.Verdict{Action: asyncmetric.ActionDrop, After: test.after}
		if test.retry {
			want.Action = asyncmetric.ActionRetry
		}
		assert.Equal(t, want, asyncmetric.DefaultClassify(test.err), test.name)
	}
}

// misleading has methods and names that look right and are not.
type misleading struct{ RejectedItems string }

func (misleading) Error() string { return "misleading" }

func (misleading) GRPCStatus(int) (int, bool) { return 0, false }

type retryableError struct{ Throttle string }

func (retryableError) Error() string { return "not that of otlpmetrichttp" }

func TestDefaultClassifyIsNotMisled(t *testing.T) {
	for _, err := range []error{misleading{}, &misleading{}, retryableError{}, &retryableError{}} {
		assert.Equal(t, asyncmetric.Verdict{Action: asyncmetric.ActionDrop}, asyncmetric.DefaultClassify(err), "%T", err)
	}
}

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
