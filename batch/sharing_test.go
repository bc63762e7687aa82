package batch_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// operations are all functions that fill a buffer, each with a result that has
// the metrics of both collections.
var operations = map[string]func(b *batch.Buffer, older, newer *metricdata.ResourceMetrics) *metricdata.ResourceMetrics{
	"Copy": func(b *batch.Buffer, older, newer *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
		return batch.Copy(b, oneAfterTheOther(older, newer))
	},
	"Part.Copy": func(b *batch.Buffer, older, newer *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
		for part := range batch.Split(oneAfterTheOther(older, newer), 0) {
			return part.Copy(b)
		}
		return new(metricdata.ResourceMetrics)
	},
	"Coalesce": batch.Coalesce,
	"Merge": func(b *batch.Buffer, older, newer *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
		return batch.Merge(b, older, newer)
	},
}

// oneAfterTheOther returns a collection with the scopes of both. It shares their
// memory.
func oneAfterTheOther(older, newer *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{
		Resource:     newer.Resource,
		ScopeMetrics: slices.Concat(older.ScopeMetrics, newer.ScopeMetrics),
	}
}

func allMetrics(rm *metricdata.ResourceMetrics) []*metricdata.Metrics {
	var all []*metricdata.Metrics
	for i := range rm.ScopeMetrics {
		for j := range rm.ScopeMetrics[i].Metrics {
			all = append(all, &rm.ScopeMetrics[i].Metrics[j])
		}
	}
	return all
}

// latencies returns a metric whose points have equal bounds.
func latencies(name string, bounds []float64, points ...metricdata.HistogramDataPoint[float64]) metricdata.Metrics {
	for i := range points {
		points[i].Bounds = bounds
	}
	return metricdata.Metrics{Name: name, Data: histogram(delta, points...)}
}

// toMilliseconds converts a metric in place, as an inner exporter may.
func toMilliseconds(m *metricdata.Metrics) {
	points := m.Data.(metricdata.Histogram[float64]).DataPoints
	for i := range points[0].Bounds {
		points[0].Bounds[i] *= 1000
	}
}

// The metrics are joined, left apart, new, and not new, so that Coalesce
// copies their bounds on every path.
func TestConvertingTheBoundsOfOneMetricChangesNoOtherMetric(t *testing.T) {
	bounds := []float64{1} // the same slice everywhere: the worst source
	older := metrics(
		latencies("only older", bounds, buckets[float64](0, 1, 0, 1, 2), buckets[float64](0, 1, 0, 1, 2)),
		latencies("joined", bounds, buckets[float64](0, 1, 0, 1, 2)),
		latencies("joined too", bounds, buckets[float64](0, 1, 0, 1, 2)),
		latencies("apart", bounds, buckets[float64](2, 3, 0, 1, 2)),
	)
	newer := metrics(
		latencies("joined", bounds, buckets[float64](1, 2, 0, 1, 2)),
		latencies("joined too", bounds, buckets[float64](1, 2, 0, 1, 2)),
		latencies("apart", bounds, buckets[float64](1, 2, 0, 1, 2)),
		latencies("only newer", []float64{1}, buckets[float64](1, 2, 0, 1, 2), buckets[float64](1, 2, 0, 1, 2)),
	)
	for name, fill := range operations {
		t.Run(name, func(t *testing.T) {
			var buffer batch.Buffer
			for range 3 { // into a new buffer, then into a used one
				all := allMetrics(fill(&buffer, older, newer))
				require.GreaterOrEqual(t, len(all), 5)
				for _, m := range all {
					toMilliseconds(m)
				}
				for _, m := range all {
					for i, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
						require.Equal(t, []float64{1000}, p.Bounds, "point %d of %q", i, m.Name)
					}
				}
				require.Equal(t, []float64{1}, bounds, "the source")
			}
		})
	}
}

func TestChangingOneMetricChangesNoOtherMetric(t *testing.T) {
	for name, fill := range operations {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				collections := sequenceOf(shapes.Draw(t, "shape"), []byte{rapid.Byte().Draw(t, "change")})
				older, newer := collections[0], collections[1]
				want := allMetrics(fill(nil, older, newer))
				got := allMetrics(fill(nil, older, newer))
				for i := range got {
					if !slices.Contains(knownKinds, reflect.TypeOf(got[i].Data)) {
						continue // passed on, not copied
					}
					scribbleOn(reflect.ValueOf(got[i].Data))
					for j := i + 1; j < len(got); j++ {
						require.True(t, reflect.DeepEqual(want[j], got[j]), "metric %d changed with metric %d", j, i)
					}
				}
			})
		})
	}
}

// Only the bounds of a point are those of others, as in the SDK.
func TestChangingOnePointChangesNothingOfOthersExceptTheirBounds(t *testing.T) {
	for name, fill := range operations {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				collections := sequenceOf(shapes.Draw(t, "shape"), []byte{rapid.Byte().Draw(t, "change")})
				want := pointsWithoutBounds(fill(nil, collections[0], collections[1]))
				got := pointsWithoutBounds(fill(nil, collections[0], collections[1]))
				for i := range got {
					scribbleOn(got[i])
					for j := i + 1; j < len(got); j++ {
						require.True(t, reflect.DeepEqual(want[j].Interface(), got[j].Interface()), "point %d changed with point %d", j, i)
					}
				}
			})
		})
	}
}

func pointsWithoutBounds(rm *metricdata.ResourceMetrics) []reflect.Value {
	var all []reflect.Value
	for _, m := range allMetrics(rm) {
		if !slices.Contains(knownKinds, reflect.TypeOf(m.Data)) {
			continue
		}
		points := reflect.ValueOf(m.Data).FieldByName("DataPoints")
		for i := range points.Len() {
			if bounds := points.Index(i).FieldByName("Bounds"); bounds.IsValid() {
				bounds.SetZero()
			}
			all = append(all, points.Index(i))
		}
	}
	return all
}

// An append to a slice with spare capacity writes where another slice begins.
func TestSpareCapacityInTheSourceIsNotHandedThrough(t *testing.T) {
	empty := func() metricdata.HistogramDataPoint[float64] {
		return metricdata.HistogramDataPoint[float64]{
			Bounds: make([]float64, 0, 4), BucketCounts: make([]uint64, 0, 4), Exemplars: make([]metricdata.Exemplar[float64], 0, 4),
			StartTime: minute(0), Time: minute(1),
		}
	}
	emptyExponential := func() metricdata.ExponentialHistogramDataPoint[int64] {
		return metricdata.ExponentialHistogramDataPoint[int64]{
			PositiveBucket: metricdata.ExponentialBucket{Counts: make([]uint64, 0, 4)},
			NegativeBucket: metricdata.ExponentialBucket{Counts: make([]uint64, 0, 4)},
			Exemplars:      make([]metricdata.Exemplar[int64], 0, 4), StartTime: minute(0), Time: minute(1),
		}
	}
	source := func() *metricdata.ResourceMetrics {
		rm := collectionWith(
			metricdata.Gauge[int64]{DataPoints: make([]metricdata.DataPoint[int64], 0, 4)},
			metricdata.Sum[int64]{Temporality: delta, DataPoints: []metricdata.DataPoint[int64]{{Exemplars: make([]metricdata.Exemplar[int64], 0, 4)}}},
			metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Exemplars: make([]metricdata.Exemplar[int64], 1, 4)}}},
			histogram(delta, empty()), histogram(cumulative, empty()),
			exponential(delta, emptyExponential()), exponential(cumulative, emptyExponential()),
			metricdata.Summary{DataPoints: []metricdata.SummaryDataPoint{{QuantileValues: make([]metricdata.QuantileValue, 0, 4)}}},
		)
		rm.ScopeMetrics = append(rm.ScopeMetrics, metricdata.ScopeMetrics{Metrics: make([]metricdata.Metrics, 0, 4)})
		return rm
	}
	for name, fill := range operations {
		t.Run(name, func(t *testing.T) {
			older, newer := source(), source()
			got := fill(nil, older, newer)
			requireOwnMemory(t, got)
			requireNothingShared(t, older, got)
			requireNothingShared(t, newer, got)
		})
	}
}

func TestPointsOfOneMetricShareEqualBounds(t *testing.T) {
	distinct := map[*float64]bool{}
	all := allMetrics(batch.Copy(nil, metrictest.Histograms(500)))
	for _, m := range all {
		for _, point := range m.Data.(metricdata.Histogram[float64]).DataPoints {
			distinct[&point.Bounds[0]] = true
		}
	}
	assert.Len(t, distinct, len(all))
}
