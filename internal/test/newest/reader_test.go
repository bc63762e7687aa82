package newest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A reader that splits what it collects calls Export once for each piece. Where
// there is room, all of them wait, also while the inner exporter does not
// answer, and each data point arrives once.
func TestWhatTheReaderHandsOverInPiecesArrivesCompletely(t *testing.T) {
	const series, size, collections = 105, 10, 4
	open := make(chan struct{})
	inner := &metrictest.Exporter{
		OnTemporality: metric.DeltaTemporalitySelector,
		OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			<-open
			return nil
		},
	}
	exporter, err := asyncmetric.New(inner, asyncmetric.WithMaxQueueSize(series*collections))
	require.NoError(t, err)
	reader := &collector{Exporter: exporter}
	provider := metric.NewMeterProvider(metric.WithReader(
		metric.NewPeriodicReader(reader, metric.WithMaxExportBatchSize(size))))
	counter, err := provider.Meter("shop").Int64Counter("orders")
	require.NoError(t, err)

	for n := range int64(collections) {
		for i := range series {
			counter.Add(t.Context(), n+1, apimetric.WithAttributes(attribute.Int("customer", i)))
		}
		require.NoError(t, provider.ForceFlush(t.Context()))
	}
	assert.Equal(t, series*collections, exporter.Stats().Queued)
	assert.Equal(t, (series+size-1)/size*collections, exporter.Stats().QueuedCollections)
	close(open)
	require.NoError(t, provider.Shutdown(t.Context()))

	arrived := make(map[attribute.Set][]int64)
	for _, rm := range inner.Delivered() {
		points := rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints
		assert.LessOrEqual(t, len(points), size)
		for _, p := range points {
			arrived[p.Attributes] = append(arrived[p.Attributes], p.Value)
		}
	}
	require.Len(t, arrived, series)
	for customer, values := range arrived {
		assert.Equal(t, []int64{1, 2, 3, 4}, values, customer)
	}
	s := exporter.Stats()
	assert.Equal(t, asyncmetric.Stats{Accepted: series * collections, Exported: series * collections}, s)
}

// A collector lets a flush of the reader collect without waiting for the
// delivery.
type collector struct{ *asyncmetric.Exporter }

func (collector) ForceFlush(context.Context) error { return nil }
