package integration

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestOTLPIsNotSentAgainBeforeTheTimeThatTheServerNames(t *testing.T) {
	const brief = 100 * time.Millisecond
	date := time.Now().Truncate(time.Second).Add(2 * time.Second)
	for name, tt := range map[string]struct {
		open  func(*testing.T) endpoint
		delay time.Duration // since the first request
		date  time.Time
	}{
		"RetryInfo over gRPC": {
			open:  grpcWith(grpcStatus(codes.Unavailable, &errdetails.RetryInfo{RetryDelay: durationpb.New(brief)})),
			delay: brief,
		},
		"Retry-After in seconds": {open: httpWith(retryAfter(http.StatusTooManyRequests, "1")), delay: time.Second},
		"Retry-After as a date": {
			open: httpWith(retryAfter(http.StatusServiceUnavailable, date.UTC().Format(http.TimeFormat))), date: date,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := tt.open(t)
			server.leave(1)
			inner, err := server.exporter(settings{})
			require.NoError(t, err)
			var reports record
			e, err := asyncmetric.New(inner, append(reports.options(),
				asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Millisecond, MaxInterval: time.Minute}))...)
			require.NoError(t, err)
			before := time.Now()
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(points, 1)))
			<-server.taken // a flush or a shutdown would not wait for it
			at := time.Now()
			assert.GreaterOrEqual(t, at.Sub(before), tt.delay)
			assert.False(t, at.Before(tt.date))
			require.NoError(t, e.Shutdown(t.Context()))
			assert.Equal(t, uint64(1), e.Stats().Retries)
		})
	}
}

// An application that flushes in each of its invocations asks the server no more
// often than the server has said.
func TestFlushesKeepToTheTimeThatTheServerNames(t *testing.T) {
	t.Parallel()
	const flushes, timeout = 60, 50 * time.Millisecond
	server := openHTTP(t, retryAfter(http.StatusTooManyRequests, "10"))
	server.leave(2 * flushes)
	before, _ := server.record()
	inner, err := server.exporter(settings{})
	require.NoError(t, err)
	var reports record
	e, err := asyncmetric.New(inner, reports.options()...)
	require.NoError(t, err)
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(e)))
	invocations, err := provider.Meter("function").Int64Counter("invocations")
	require.NoError(t, err)

	for range flushes {
		invocations.Add(t.Context(), 1)
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		assert.Error(t, provider.ForceFlush(ctx))
		cancel()
	}
	failed, delivered := server.record()
	assert.LessOrEqual(t, failed-before, 2)
	assert.Empty(t, delivered)

	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	var undelivered *asyncmetric.UndeliveredError
	require.ErrorAs(t, e.Shutdown(ctx), &undelivered)
	assert.Equal(t, int(e.Stats().Accepted), undelivered.Points, "nothing is lost before")
	assert.ErrorIs(t, provider.Shutdown(t.Context()), metric.ErrExporterShutdown)
}
