package spool

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
)

// ofIntegers returns a collection of a point of each kind of histogram of
// integers, of the second at.
func ofIntegers(at int64) *metricdata.ResourceMetrics {
	const delta = metricdata.DeltaTemporality
	series := attribute.NewSet(attribute.String("k", "v"))
	start, end := time.Unix(at, 0), time.Unix(at+1, 0)
	return &metricdata.ResourceMetrics{
		Resource: resource.Empty(),
		ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{
			{Name: "explicit", Data: metricdata.Histogram[int64]{
				Temporality: delta,
				DataPoints: []metricdata.HistogramDataPoint[int64]{{
					Attributes: series, StartTime: start, Time: end,
					Count: 1, Sum: 2, Bounds: []float64{1}, BucketCounts: []uint64{0, 1},
				}},
			}},
			{Name: "exponential", Data: metricdata.ExponentialHistogram[int64]{
				Temporality: delta,
				DataPoints: []metricdata.ExponentialHistogramDataPoint[int64]{{
					Attributes: series, StartTime: start, Time: end, Count: 1, Sum: 2,
					PositiveBucket: metricdata.ExponentialBucket{Counts: []uint64{1}},
				}},
			}},
		}}},
	}
}

// OTLP has no histograms of integers, so what is in the file is of another kind
// than what Put brings. They are joined all the same.
func TestHistogramsOfIntegersAreJoined(t *testing.T) {
	const collections = 60
	q, told := open(t, t.TempDir(), WithNoSync(), WithMaxBytes(700))
	for at := range int64(collections) {
		require.NoError(t, q.Put(t.Context(), ofIntegers(1+at)))
	}
	var counts [2]uint64
	last := [2]time.Time{}
	for q.Stats().Queued > 0 {
		e, err := q.Take(t.Context(), queue.Limit{})
		require.NoError(t, err)
		require.Equal(t, 2, batch.Points(e.Collection()), "one of each kind")
		explicit := e.Collection().ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints[0]
		exponential := e.Collection().ScopeMetrics[0].Metrics[1].Data.(metricdata.ExponentialHistogram[float64]).DataPoints[0]
		assert.False(t, explicit.StartTime.Before(last[0]), "overlaps the one before")
		assert.False(t, exponential.StartTime.Before(last[1]), "overlaps the one before")
		last = [2]time.Time{explicit.Time, exponential.Time}
		counts[0] += explicit.Count
		counts[1] += exponential.Count
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
	assert.Equal(t, [2]uint64{collections, collections}, counts)
	assert.Empty(t, told.dropped())
	assert.NotZero(t, q.Stats().Coalesced)
}
