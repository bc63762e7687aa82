package workload_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWorkloadHasAsManyPointsAsItIsToldTo(t *testing.T) {
	for _, shape := range []workload.Shape{workload.Mixed, workload.Counters} {
		for _, points := range []int{1, 3, 100, 301, 1000} {
			w, err := workload.New(points, shape, sdkmetric.DefaultTemporalitySelector)
			require.NoError(t, err)
			for range 2 {
				rm, err := w.Collect(t.Context())
				require.NoError(t, err)
				assert.Equal(t, points, batch.Points(rm))
			}
			require.NoError(t, w.Shutdown(context.Background()))
		}
	}
}

func TestApplicationCountsWhatTheSDKCounts(t *testing.T) {
	reader := sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(sdkmetric.DeltaTemporalitySelector))
	a, err := workload.NewApplication(reader)
	require.NoError(t, err)
	a.Start()
	var collected workload.Totals
	var rm metricdata.ResourceMetrics
	for collected.Recordings == 0 {
		require.NoError(t, reader.Collect(t.Context(), &rm))
		add(&collected, &rm)
	}
	counted := a.Stop()
	require.NoError(t, reader.Collect(t.Context(), &rm))
	add(&collected, &rm)
	assert.Equal(t, counted, collected)
	assert.Equal(t, counted.Increments+counted.Recordings, collected.Sum())
	require.NoError(t, a.Shutdown(context.Background()))
}

func add(t *workload.Totals, rm *metricdata.ResourceMetrics) {
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					t.Increments += p.Value
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					t.Recordings += int64(p.Count)
				}
			}
		}
	}
}
