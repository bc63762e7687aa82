package batch_test

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestCopyEqualsItsSource(t *testing.T) {
	requireEqual(t, metrictest.EveryKind(5), batch.Copy(nil, metrictest.EveryKind(5)))
	rapid.Check(t, func(t *rapid.T) {
		shape := shapes.Draw(t, "shape")
		requireEqual(t, collectionOf(shape), batch.Copy(nil, collectionOf(shape)))
	})
}

func TestCopySharesNothingMutable(t *testing.T) {
	source := metrictest.EveryKind(70)
	requireNothingShared(t, source, batch.Copy(nil, source))
	rapid.Check(t, func(t *rapid.T) {
		source := collectionOf(shapes.Draw(t, "shape"))
		requireNothingShared(t, source, batch.Copy(nil, source))
	})
}

func TestCopyStaysAsItWasWhenTheSourceChanges(t *testing.T) {
	source := metrictest.EveryKind(70)
	got := batch.Copy(nil, source)
	scribble(source)
	requireEqual(t, metrictest.EveryKind(70), got)
}

func TestSourceStaysAsItWasWhenTheCopyChanges(t *testing.T) {
	source := metrictest.EveryKind(70)
	scribble(batch.Copy(nil, source))
	requireEqual(t, metrictest.EveryKind(70), source)
}

func TestCopiesWithoutABufferShareNothing(t *testing.T) {
	source := metrictest.EveryKind(2)
	requireNothingShared(t, batch.Copy(nil, source), batch.Copy(nil, source))
}

func TestCopyLeavesNoRoomToAppendIntoAnotherSlice(t *testing.T) {
	requireOwnMemory(t, batch.Copy(nil, metrictest.EveryKind(4)))
	rapid.Check(t, func(t *rapid.T) {
		requireOwnMemory(t, batch.Copy(nil, collectionOf(shapes.Draw(t, "shape"))))
	})
}

func TestCopySharesTheResource(t *testing.T) {
	source := metrictest.EveryKind(1)
	assert.Same(t, source.Resource, batch.Copy(nil, source).Resource)
	assert.Nil(t, batch.Copy(nil, &metricdata.ResourceMetrics{}).Resource)
}

// The kinds of point are few enough to name each slice that may be nil or
// empty; the random collections of other tests cover their combinations.
func TestCopyKeepsNilAndEmptyApart(t *testing.T) {
	exemplars := []metricdata.Exemplar[int64]{{}, {
		FilteredAttributes: []attribute.KeyValue{}, SpanID: []byte{}, TraceID: []byte{},
	}}
	histograms := []metricdata.HistogramDataPoint[int64]{{}, {
		Bounds: []float64{}, BucketCounts: []uint64{}, Exemplars: []metricdata.Exemplar[int64]{},
	}, {}}
	exponentials := []metricdata.ExponentialHistogramDataPoint[int64]{{}, {
		PositiveBucket: metricdata.ExponentialBucket{Counts: []uint64{}},
		NegativeBucket: metricdata.ExponentialBucket{Counts: []uint64{}},
		Exemplars:      []metricdata.Exemplar[int64]{},
	}}
	rm := collectionWith(
		metricdata.Gauge[int64]{},
		metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{}},
		metricdata.Sum[int64]{DataPoints: []metricdata.DataPoint[int64]{
			{}, {Exemplars: []metricdata.Exemplar[int64]{}}, {Exemplars: exemplars},
		}},
		metricdata.Histogram[int64]{DataPoints: histograms},
		metricdata.ExponentialHistogram[int64]{DataPoints: exponentials},
		metricdata.Summary{DataPoints: []metricdata.SummaryDataPoint{{}, {QuantileValues: []metricdata.QuantileValue{}}}},
		nil,
	)
	rm.ScopeMetrics = append(rm.ScopeMetrics,
		metricdata.ScopeMetrics{}, metricdata.ScopeMetrics{Metrics: []metricdata.Metrics{}})
	requireEqual(t, rm, batch.Copy(nil, rm))

	assert.Nil(t, batch.Copy(nil, &metricdata.ResourceMetrics{}).ScopeMetrics)
	empty := batch.Copy(nil, &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{}}).ScopeMetrics
	assert.True(t, empty != nil && len(empty) == 0)
}

func TestCopyStoresEqualBoundsOfNeighboursOnce(t *testing.T) {
	points := []metricdata.HistogramDataPoint[int64]{
		{Bounds: []float64{1, 2}}, {Bounds: []float64{1, 2}}, // equal
		{Bounds: []float64{1, 3}}, // as many
		{Bounds: []float64{1}},
		{Bounds: nil},
		{Bounds: []float64{1}},
	}
	rm := collectionWith(metricdata.Histogram[int64]{DataPoints: points})
	got := batch.Copy(nil, rm)
	requireEqual(t, rm, got)

	copied := got.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[int64]).DataPoints
	assert.Same(t, &copied[0].Bounds[0], &copied[1].Bounds[0])
	assert.NotSame(t, &copied[1].Bounds[0], &copied[2].Bounds[0])
}

// requireSameWhole requires that got is want itself and not a copy of it.
func requireSameWhole(t *testing.T, want, got metricdata.Aggregation) {
	t.Helper()
	if w, ok := want.(weird); ok {
		require.IsType(t, want, got)
		require.Len(t, got.(weird).DataPoints, len(w.DataPoints))
		require.Same(t, unsafe.SliceData(w.DataPoints), unsafe.SliceData(got.(weird).DataPoints))
		return
	}
	require.True(t, want == got, "another %T", want)
}

func TestCopyPassesOnUnknownKindsAsTheyAre(t *testing.T) {
	gauge := twoKnownPoints().(metricdata.Gauge[int64])
	unknown := []metricdata.Aggregation{
		weird{gauge}, &metricdata.Sum[int64]{DataPoints: gauge.DataPoints}, (*metricdata.Sum[int64])(nil), nil,
	}
	var buffer batch.Buffer
	for range 3 { // the first time into an empty buffer, then into a used one
		got := batch.Copy(&buffer, collectionWith(unknown...)).ScopeMetrics[0].Metrics
		require.Len(t, got, len(unknown))
		for i, want := range unknown {
			requireSameWhole(t, want, got[i].Data)
		}
	}
	assert.Equal(t, 3, buffer.Points())
}
