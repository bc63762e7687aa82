package metrictest

import (
	"fmt"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Epoch is the start time of all points; the time is a minute later.
var Epoch = time.Date(2024, 1, 2, 3, 4, 5, 6, time.UTC)

// PointsPerMetric is how many points the metrics of Numbers, Histograms and
// Mixed have, but for the last.
const PointsPerMetric = 100

// Numbers returns a collection of n points of Sum[int64], delta and monotonic.
// The value of the points is value.
func Numbers(n int, value int64) *metricdata.ResourceMetrics {
	return collection(chunks("sum", n, func(series []attribute.Set) metricdata.Aggregation {
		return sum(series, value)
	}))
}

// Histograms returns a collection of n points of Histogram[float64] with 15
// bounds.
func Histograms(n int) *metricdata.ResourceMetrics {
	return collection(chunks("histogram", n, histogram))
}

// Mixed returns a collection of n points, a third each of Sum[int64],
// Gauge[float64] and Histogram[float64] of 15 bounds.
func Mixed(n int) *metricdata.ResourceMetrics {
	third := n / 3
	metrics := chunks("sum", third, func(series []attribute.Set) metricdata.Aggregation { return sum(series, 1) })
	metrics = append(metrics, chunks("gauge", third, gauge)...)
	metrics = append(metrics, chunks("histogram", n-2*third, histogram)...)
	return collection(metrics)
}

func collection(metrics []metricdata.Metrics) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{
		Resource: resource.NewSchemaless(attribute.String("service.name", "metrictest")),
		ScopeMetrics: []metricdata.ScopeMetrics{{
			Scope:   instrumentation.Scope{Name: "metrictest", Version: "v1"},
			Metrics: metrics,
		}},
	}
}

func chunks(name string, n int, data func([]attribute.Set) metricdata.Aggregation) []metricdata.Metrics {
	var metrics []metricdata.Metrics
	for i := 0; n > 0; i++ {
		size := min(n, PointsPerMetric)
		metrics = append(metrics, metricdata.Metrics{
			Name:        fmt.Sprintf("%s.%d", name, i),
			Description: "a metric for tests",
			Unit:        "1",
			Data:        data(Series(size)),
		})
		n -= size
	}
	return metrics
}

// Series returns the attributes of n different series.
func Series(n int) []attribute.Set {
	sets := make([]attribute.Set, n)
	for i := range sets {
		sets[i] = attribute.NewSet(attribute.Int("series", i))
	}
	return sets
}

func sum(series []attribute.Set, value int64) metricdata.Aggregation {
	points := make([]metricdata.DataPoint[int64], len(series))
	for i := range points {
		points[i] = metricdata.DataPoint[int64]{
			Attributes: series[i], StartTime: Epoch, Time: Epoch.Add(time.Minute), Value: value,
		}
	}
	return metricdata.Sum[int64]{
		DataPoints: points, Temporality: metricdata.DeltaTemporality, IsMonotonic: true,
	}
}

func gauge(series []attribute.Set) metricdata.Aggregation {
	points := make([]metricdata.DataPoint[float64], len(series))
	for i := range points {
		points[i] = metricdata.DataPoint[float64]{
			Attributes: series[i], StartTime: Epoch, Time: Epoch.Add(time.Minute), Value: float64(i) / 3,
		}
	}
	return metricdata.Gauge[float64]{DataPoints: points}
}

func histogram(series []attribute.Set) metricdata.Aggregation {
	// The SDK's default bounds; its points share them as these do.
	bounds := []float64{0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000}
	points := make([]metricdata.HistogramDataPoint[float64], len(series))
	for i := range points {
		counts := make([]uint64, len(bounds)+1)
		for j := range counts {
			counts[j] = uint64(i + j)
		}
		points[i] = metricdata.HistogramDataPoint[float64]{
			Attributes: series[i], StartTime: Epoch, Time: Epoch.Add(time.Minute),
			Count: uint64(len(counts)*i + len(counts)*(len(counts)-1)/2), Bounds: bounds, BucketCounts: counts,
			Min: metricdata.NewExtrema(0.5), Max: metricdata.NewExtrema(9999.5), Sum: float64(i) * 100,
		}
	}
	return metricdata.Histogram[float64]{DataPoints: points, Temporality: metricdata.DeltaTemporality}
}

// EveryKind returns a collection with two scopes and a metric of each of the
// nine kinds of aggregation in both, of n points each, with exemplars and
// everything else that a point can have. It is the same for the same n, but
// shares no memory with other results.
func EveryKind(n int) *metricdata.ResourceMetrics {
	rm := collection(everyKind(n))
	rm.ScopeMetrics = append(rm.ScopeMetrics, metricdata.ScopeMetrics{
		Scope: instrumentation.Scope{
			Name: "metrictest", Version: "v1", SchemaURL: "https://example.com/schema",
			Attributes: attribute.NewSet(attribute.String("scope", "second")),
		},
		Metrics: everyKind(n),
	})
	return rm
}

func everyKind(n int) []metricdata.Metrics {
	series := Series(n)
	metric := func(name string, data metricdata.Aggregation) metricdata.Metrics {
		return metricdata.Metrics{Name: name, Description: "about " + name, Unit: "By", Data: data}
	}
	return []metricdata.Metrics{
		metric("gauge.int64", metricdata.Gauge[int64]{DataPoints: numberPoints[int64](series)}),
		metric("gauge.float64", metricdata.Gauge[float64]{DataPoints: numberPoints[float64](series)}),
		metric("sum.int64", metricdata.Sum[int64]{
			DataPoints: numberPoints[int64](series), Temporality: metricdata.DeltaTemporality, IsMonotonic: true,
		}),
		metric("sum.float64", metricdata.Sum[float64]{
			DataPoints: numberPoints[float64](series), Temporality: metricdata.CumulativeTemporality,
		}),
		metric("histogram.int64", metricdata.Histogram[int64]{
			DataPoints: histogramPoints[int64](series), Temporality: metricdata.DeltaTemporality,
		}),
		metric("histogram.float64", metricdata.Histogram[float64]{
			DataPoints: histogramPoints[float64](series), Temporality: metricdata.CumulativeTemporality,
		}),
		metric("exponential.int64", metricdata.ExponentialHistogram[int64]{
			DataPoints: exponentialPoints[int64](series), Temporality: metricdata.DeltaTemporality,
		}),
		metric("exponential.float64", metricdata.ExponentialHistogram[float64]{
			DataPoints: exponentialPoints[float64](series), Temporality: metricdata.CumulativeTemporality,
		}),
		metric("summary", metricdata.Summary{DataPoints: summaryPoints(series)}),
	}
}

func numberPoints[N int64 | float64](series []attribute.Set) []metricdata.DataPoint[N] {
	points := make([]metricdata.DataPoint[N], len(series))
	for i := range points {
		points[i] = metricdata.DataPoint[N]{
			Attributes: series[i], StartTime: Epoch, Time: Epoch.Add(time.Minute),
			Value: N(i), Exemplars: exemplars[N](i),
		}
	}
	return points
}

func histogramPoints[N int64 | float64](series []attribute.Set) []metricdata.HistogramDataPoint[N] {
	points := make([]metricdata.HistogramDataPoint[N], len(series))
	for i := range points {
		points[i] = metricdata.HistogramDataPoint[N]{
			Attributes: series[i], StartTime: Epoch, Time: Epoch.Add(time.Minute),
			Count: uint64(i + 3), Bounds: []float64{1, 2}, BucketCounts: []uint64{1, uint64(i), 2},
			Min: metricdata.NewExtrema(N(1)), Max: metricdata.NewExtrema(N(i)), Sum: N(i + 1), Exemplars: exemplars[N](i),
		}
	}
	return points
}

func exponentialPoints[N int64 | float64](series []attribute.Set) []metricdata.ExponentialHistogramDataPoint[N] {
	points := make([]metricdata.ExponentialHistogramDataPoint[N], len(series))
	for i := range points {
		points[i] = metricdata.ExponentialHistogramDataPoint[N]{
			Attributes: series[i], StartTime: Epoch, Time: Epoch.Add(time.Minute),
			Count: uint64(i + 7), Min: metricdata.NewExtrema(N(-1)), Max: metricdata.NewExtrema(N(i)), Sum: N(i + 1),
			Scale: 3, ZeroCount: 1, ZeroThreshold: 0.5,
			PositiveBucket: metricdata.ExponentialBucket{Offset: -2, Counts: []uint64{1, 2, uint64(i)}},
			NegativeBucket: metricdata.ExponentialBucket{Offset: 5, Counts: []uint64{3}},
			Exemplars:      exemplars[N](i),
		}
	}
	return points
}

func summaryPoints(series []attribute.Set) []metricdata.SummaryDataPoint {
	points := make([]metricdata.SummaryDataPoint, len(series))
	for i := range points {
		points[i] = metricdata.SummaryDataPoint{
			Attributes: series[i], StartTime: Epoch, Time: Epoch.Add(time.Minute), Count: uint64(i), Sum: float64(i),
			QuantileValues: []metricdata.QuantileValue{{Quantile: 0.5, Value: 1}, {Quantile: 0.99, Value: float64(i)}},
		}
	}
	return points
}

func exemplars[N int64 | float64](i int) []metricdata.Exemplar[N] {
	return []metricdata.Exemplar[N]{{
		FilteredAttributes: []attribute.KeyValue{attribute.Int("filtered", i), attribute.String("by", "view")},
		Time:               Epoch, Value: N(i),
		SpanID: []byte{1, 2, 3, 4, 5, 6, 7, byte(i)}, TraceID: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, byte(i)},
	}, {
		Time: Epoch, Value: N(i + 1),
	}}
}

// Bytes returns how many bytes a deep copy of a collection from Numbers,
// Histograms or Mixed consists of, with the bounds of a metric stored once.
func Bytes(rm *metricdata.ResourceMetrics) int {
	n := int(unsafe.Sizeof(*rm)) + len(rm.ScopeMetrics)*int(unsafe.Sizeof(metricdata.ScopeMetrics{}))
	for _, sm := range rm.ScopeMetrics {
		n += len(sm.Metrics) * int(unsafe.Sizeof(metricdata.Metrics{}))
		for _, m := range sm.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				n += len(data.DataPoints) * int(unsafe.Sizeof(data.DataPoints[0]))
			case metricdata.Gauge[float64]:
				n += len(data.DataPoints) * int(unsafe.Sizeof(data.DataPoints[0]))
			case metricdata.Histogram[float64]:
				first := data.DataPoints[0]
				n += 8 * len(first.Bounds)
				n += len(data.DataPoints) * (int(unsafe.Sizeof(first)) + 8*len(first.BucketCounts))
			default:
				panic(fmt.Sprintf("metrictest: Bytes does not know %T", data))
			}
		}
	}
	return n
}
