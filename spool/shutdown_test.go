package spool

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// The backend is away when the process ends: the next one delivers everything,
// in order, whether or not failed exports are repeated.
func TestWhatAShutdownCannotDeliverIsDeliveredByTheNextProcess(t *testing.T) {
	for name, opt := range map[string]asyncmetric.Option{
		"with retries":    asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Millisecond}),
		"without retries": asyncmetric.WithoutRetry(),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			hold := make(chan struct{})
			backend := &metrictest.Exporter{OnExport: func(ctx context.Context, _ *metricdata.ResourceMetrics) error {
				<-hold
				return context.DeadlineExceeded
			}}
			process := func(values []int64, patience time.Duration) error {
				q, err := Open(dir)
				require.NoError(t, err)
				e, err := asyncmetric.New(backend, opt, asyncmetric.WithQueue(q), asyncmetric.WithMaxExportBatchSize(2),
					asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {})))
				require.NoError(t, err)
				for _, v := range values {
					require.NoError(t, e.Export(t.Context(), metrictest.Numbers(3, v)))
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- e.Shutdown(ctx) }()
				for e.Status().State != asyncmetric.StateDraining && e.Status().State != asyncmetric.StateShutDown {
					time.Sleep(time.Millisecond) // until nothing can be delivered any more but by a drain
				}
				if len(values) > 0 {
					close(hold)
				}
				return <-ended
			}
			err := process([]int64{1, 2, 3}, 300*time.Millisecond)
			assert.ErrorContains(t, err, "keeps 9 data points for the next process")
			backend.OnExport = nil
			require.NoError(t, process(nil, time.Minute))
			assert.Equal(t, []int64{1, 1, 2, 2, 3, 3}, metrictest.Values(backend.Delivered()))
			require.NoError(t, process(nil, time.Minute))
			assert.Len(t, backend.Delivered(), 6, "nothing is left")
		})
	}
}
