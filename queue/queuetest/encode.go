package queuetest

import (
	"slices"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// cells is how many classes of measurements all histograms of a source have in
// common. An explicit histogram has a bucket for each four. Of an exponential
// one at baseScale the first counts zeroes, the others are its buckets, the
// first half of them negative.
const (
	cells     = 16
	baseScale = 3
)

var bounds = []float64{10, 20, 30}

// aggregation returns the points as the SDK hands them over.
func (in instrument) aggregation(points []point) metricdata.Aggregation {
	switch t := in.temporality; in.kind {
	case intSum:
		return metricdata.Sum[int64]{DataPoints: encodeNumbers[int64](points), Temporality: t, IsMonotonic: in.monotonic}
	case floatSum:
		return metricdata.Sum[float64]{DataPoints: encodeNumbers[float64](points), Temporality: t, IsMonotonic: in.monotonic}
	case intGauge:
		return metricdata.Gauge[int64]{DataPoints: encodeNumbers[int64](points)}
	case floatGauge:
		return metricdata.Gauge[float64]{DataPoints: encodeNumbers[float64](points)}
	case intHistogram:
		return metricdata.Histogram[int64]{DataPoints: encodeHistograms[int64](points), Temporality: t}
	case floatHistogram:
		return metricdata.Histogram[float64]{DataPoints: encodeHistograms[float64](points), Temporality: t}
	case intExponential:
		return metricdata.ExponentialHistogram[int64]{DataPoints: encodeExponentials[int64](points), Temporality: t}
	case floatExponential:
		return metricdata.ExponentialHistogram[float64]{DataPoints: encodeExponentials[float64](points), Temporality: t}
	default:
		return metricdata.Summary{DataPoints: encodeSummaries(points)}
	}
}

func encodeNumbers[N int64 | float64](points []point) []metricdata.DataPoint[N] {
	encoded := make([]metricdata.DataPoint[N], len(points))
	for i, p := range points {
		encoded[i] = metricdata.DataPoint[N]{Attributes: p.attributes, StartTime: p.start, Time: p.time, Value: N(p.value)}
	}
	return encoded
}

func encodeHistograms[N int64 | float64](points []point) []metricdata.HistogramDataPoint[N] {
	encoded := make([]metricdata.HistogramDataPoint[N], len(points))
	for i, p := range points {
		counts := make([]uint64, len(bounds)+1)
		for b, n := range p.buckets {
			counts[b.index] = uint64(n)
		}
		encoded[i] = metricdata.HistogramDataPoint[N]{
			Attributes: p.attributes, StartTime: p.start, Time: p.time, Count: uint64(p.count), Sum: N(p.value),
			Bounds: bounds, BucketCounts: counts,
		}
	}
	return encoded
}

func encodeExponentials[N int64 | float64](points []point) []metricdata.ExponentialHistogramDataPoint[N] {
	encoded := make([]metricdata.ExponentialHistogramDataPoint[N], len(points))
	for i, p := range points {
		encoded[i] = metricdata.ExponentialHistogramDataPoint[N]{
			Attributes: p.attributes, StartTime: p.start, Time: p.time, Count: uint64(p.count), Sum: N(p.value),
			Scale: p.scale, ZeroCount: uint64(p.buckets[bucket{}]),
			PositiveBucket: encodeBuckets(p.buckets, 1), NegativeBucket: encodeBuckets(p.buckets, -1),
		}
	}
	return encoded
}

func encodeBuckets(buckets map[bucket]int64, sign int) metricdata.ExponentialBucket {
	var indexes []int
	for b := range buckets {
		if b.sign == sign {
			indexes = append(indexes, b.index)
		}
	}
	if len(indexes) == 0 {
		return metricdata.ExponentialBucket{}
	}
	low := slices.Min(indexes)
	counts := make([]uint64, slices.Max(indexes)-low+1)
	for _, i := range indexes {
		counts[i-low] = uint64(buckets[bucket{sign, i}])
	}
	return metricdata.ExponentialBucket{Offset: int32(low), Counts: counts}
}

func encodeSummaries(points []point) []metricdata.SummaryDataPoint {
	encoded := make([]metricdata.SummaryDataPoint, len(points))
	for i, p := range points {
		encoded[i] = metricdata.SummaryDataPoint{
			Attributes: p.attributes, StartTime: p.start, Time: p.time, Count: uint64(p.count), Sum: p.value,
			QuantileValues: []metricdata.QuantileValue{{Quantile: 0.5, Value: p.value}},
		}
	}
	return encoded
}
