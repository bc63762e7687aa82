package integration

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// What Prometheus does with a batch that it has already, because the answer was
// lost and the batch is sent again. It stores a request as a whole or not at
// all, so what it refuses here it has: asyncmetric counts the points as dropped,
// although they have arrived.

// described is a resource for which Prometheus keeps the series target_info, as
// for that of every SDK: it says what the application is.
var described = resource.NewSchemaless(append(identity.Attributes(), attribute.String("host.name", "here"))...)

func TestPrometheusTakesABatchTwice(t *testing.T) {
	store, send := openSender(t)
	batch := collectionOf(identity, counterAt("one", 1, 0), counterAt("other", 7, 0), nativeAt("native", 0))
	require.NoError(t, send(batch))
	require.NoError(t, send(batch))
	store.assertNothingRefused(true)
	assert.Equal(t, 1.0, store.counter(outOfOrderSamples, "histogram"), "taken, but counted")
	assert.Equal(t, 3, store.samples())
}

func TestPrometheusRefusesAnotherValueForTheSameMillisecond(t *testing.T) {
	store, send := openSender(t)
	require.NoError(t, send(collectionOf(identity, counterAt("one", 1, 0))))
	require.ErrorContains(t, send(collectionOf(identity, counterAt("one", 2, 0))), "duplicate sample for timestamp")
	assert.Equal(t, 1, store.samples())
}

func TestPrometheusRefusesAMergedBatchThatItHasAndStoresNoneOfIt(t *testing.T) {
	store, send := openSender(t)
	merged := counterAt("one", 1, 0, 10, 20)
	require.NoError(t, send(collectionOf(identity, merged)))
	require.ErrorContains(t, send(collectionOf(identity, merged)), "400 Bad Request (body: out of order sample")
	require.Error(t, send(collectionOf(identity, merged, counterAt("new", 7, 30))), "nor what comes with it")
	assert.Equal(t, 3, store.samples())
	assert.Equal(t, 2, store.answered(http.StatusBadRequest))
	assert.Equal(t, 2.0, store.counter(outOfOrderSamples, "float"), "it stops at the first")
}

// The SDK takes the time anew for each instrument. Prometheus stores target_info
// for the earliest and for the latest time in a request, and refuses the
// earliest one when it has the latest.
func TestPrometheusRefusesABatchThatItHasForTheTimesOfItsTarget(t *testing.T) {
	store, send := openSender(t)
	batch := collectionOf(described, counterAt("first", 1, 0), counterAt("second", 1, 1))
	require.NoError(t, send(batch))
	require.ErrorContains(t, send(batch), "400 Bad Request (body: out of order sample")
	assert.Equal(t, 2, store.samples())
}

func TestPrometheusTakesAllOfThatWithAnOutOfOrderWindow(t *testing.T) {
	store, send := openSender(t, outOfOrder)
	batch := collectionOf(described, counterAt("first", 1, 0, 10, 20), counterAt("second", 1, 1), nativeAt("native", 2, 12))
	require.NoError(t, send(batch))
	require.NoError(t, send(batch))
	store.assertNothingRefused(true)
	assert.NotZero(t, store.counter(takenOutOfOrder, "float"))
	assert.Equal(t, 6, store.samples(), "a query sees each once")
}

// Prometheus widens a native histogram that lacks buckets of the one before it,
// as a delta may, and does not find what it has widened equal to what comes
// again. With that, none of the batch is taken.
func TestPrometheusRefusesADeltaOfANativeHistogramThatItHas(t *testing.T) {
	store, send := openSender(t, nativeDelta)
	require.NoError(t, send(collectionOf(identity, nativeDeltaAt(0, 1))))
	second := collectionOf(identity, nativeDeltaAt(10, 5))
	require.NoError(t, send(second))
	require.ErrorContains(t, send(second), "400 Bad Request (body: duplicate sample for timestamp")
	assert.Equal(t, 2, store.samples())
}

// openSender returns a store and how to send a collection to it once, without
// asyncmetric.
func openSender(t *testing.T, options ...storeOption) (*store, func(*metricdata.ResourceMetrics) error) {
	store := openStore(t, options...)
	var exporter sdkmetric.Exporter = openFront(t, store).exporter(setup{})
	t.Cleanup(func() { assert.NoError(t, exporter.Shutdown(context.Background())) })
	return store, func(rm *metricdata.ResourceMetrics) error { return exporter.Export(t.Context(), rm) }
}

// samples returns how many samples there are of the series of counterAt and
// nativeAt.
func (s *store) samples() (n int) {
	s.t.Helper()
	matrix, err := s.query(`{kind="crafted"}[1h]`).Matrix()
	require.NoError(s.t, err)
	for _, m := range matrix {
		n += len(m.Floats) + len(m.Histograms)
	}
	return n
}

// dawn is when crafted data begins.
var dawn = time.Now().Add(-time.Minute).Truncate(time.Millisecond)

func after(milliseconds int) time.Time {
	return dawn.Add(time.Duration(milliseconds) * time.Millisecond)
}

func collectionOf(r *resource.Resource, metrics ...metricdata.Metrics) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{Resource: r, ScopeMetrics: []metricdata.ScopeMetrics{
		{Scope: instrumentation.Scope{Name: "crafted"}, Metrics: metrics},
	}}
}

var crafted = attribute.NewSet(attribute.String("kind", "crafted"))

// counterAt returns a counter with points at some milliseconds after dawn, of
// values from first on.
func counterAt(name string, first int64, milliseconds ...int) metricdata.Metrics {
	sum := metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true}
	for i, ms := range milliseconds {
		sum.DataPoints = append(sum.DataPoints, metricdata.DataPoint[int64]{
			Attributes: crafted, StartTime: dawn, Time: after(ms), Value: first + int64(i),
		})
	}
	return metricdata.Metrics{Name: name, Data: sum}
}

// nativeAt returns an exponential histogram in the same way, of one value more
// each time.
func nativeAt(name string, milliseconds ...int) metricdata.Metrics {
	h := metricdata.ExponentialHistogram[float64]{Temporality: metricdata.CumulativeTemporality}
	for i, ms := range milliseconds {
		count := uint64(i + 1)
		h.DataPoints = append(h.DataPoints, metricdata.ExponentialHistogramDataPoint[float64]{
			Attributes: crafted, StartTime: dawn, Time: after(ms), Count: count, Sum: float64(count),
			PositiveBucket: metricdata.ExponentialBucket{Counts: []uint64{count}},
		})
	}
	return metricdata.Metrics{Name: name, Data: h}
}

// nativeDeltaAt returns a histogram of one value that is in one bucket.
func nativeDeltaAt(milliseconds int, bucket int32) metricdata.Metrics {
	m := nativeAt("native", milliseconds)
	h := m.Data.(metricdata.ExponentialHistogram[float64])
	h.Temporality = metricdata.DeltaTemporality
	h.DataPoints[0].PositiveBucket.Offset = bucket
	m.Data = h
	return m
}
