package integration

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
