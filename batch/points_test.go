package batch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// collectionWith returns a collection of one metric for each of data.
func collectionWith(data ...metricdata.Aggregation) *metricdata.ResourceMetrics {
	metrics := make([]metricdata.Metrics, len(data))
	for i := range metrics {
		metrics[i] = metricdata.Metrics{Name: string(rune('a' + i)), Data: data[i]}
	}
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: metrics}}}
}

// twoKnownPoints returns a gauge of two points.
func twoKnownPoints() metricdata.Aggregation {
	return metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Value: 1}, {Value: 2}}}
}

func TestPointsCountsEveryKind(t *testing.T) {
	for i, metric := range metrictest.EveryKind(3).ScopeMetrics[0].Metrics {
		assert.IsType(t, metric.Data, metrictest.EveryKind(1).ScopeMetrics[1].Metrics[i].Data)
		assert.Equal(t, 3, batch.Points(collectionWith(metric.Data)), metric.Name)
	}
	assert.Equal(t, 2*9*3, batch.Points(metrictest.EveryKind(3)))
	assert.Equal(t, 1000, batch.Points(metrictest.Mixed(1000)))
}

func TestPointsCountsEachPointOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rm := collectionOf(shapes.Draw(t, "shape"))
		require.Len(t, loosePoints(rm), batch.Points(rm))
	})
}

func TestPointsOfNothingIsZero(t *testing.T) {
	assert.Zero(t, batch.Points(nil))
	assert.Zero(t, batch.Points(&metricdata.ResourceMetrics{}))
	assert.Zero(t, batch.Points(&metricdata.ResourceMetrics{ScopeMetrics: make([]metricdata.ScopeMetrics, 2)}))
	assert.Zero(t, batch.Points(collectionWith(nil, metricdata.Gauge[int64]{}, metricdata.Summary{})))
}

func TestPointsCountsAnUnknownKindAsOne(t *testing.T) {
	gauge := twoKnownPoints().(metricdata.Gauge[int64])
	assert.Equal(t, 1, batch.Points(collectionWith(weird{gauge})))
	assert.Equal(t, 1, batch.Points(collectionWith(&metricdata.Sum[int64]{DataPoints: gauge.DataPoints})))
	assert.Equal(t, 1, batch.Points(collectionWith((*metricdata.Sum[int64])(nil))))
	assert.Equal(t, 3, batch.Points(collectionWith(weird{}, gauge, nil)))
}

func TestUnknownFindsTheFirstUnknownKind(t *testing.T) {
	rm := metrictest.EveryKind(1)
	rm.ScopeMetrics[0].Metrics[0].Data = nil
	assert.Nil(t, batch.Unknown(rm))
	assert.Nil(t, batch.Unknown(&metricdata.ResourceMetrics{}))

	rm.ScopeMetrics[1].Metrics[7].Data = &metricdata.Sum[int64]{}
	assert.Same(t, &rm.ScopeMetrics[1].Metrics[7], batch.Unknown(rm))
	rm.ScopeMetrics[1].Metrics[2].Data = weird{}
	assert.Same(t, &rm.ScopeMetrics[1].Metrics[2], batch.Unknown(rm))
}
