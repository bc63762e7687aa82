package queuetest

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A seriesID identifies a series, and the instrument that it comes from where
// several have the same name.
type seriesID struct {
	resource, attributes attribute.Distinct
	scope                string
	instrument
}

// sameStream returns an id that is the same for all instruments of that name.
func (id seriesID) sameStream() seriesID {
	id.description = ""
	return id
}

// eachPoint calls f for each data point of a collection, in order.
func eachPoint(rm *metricdata.ResourceMetrics, f func(seriesID, point)) {
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			in, points := decode(m.Data)
			in.name, in.description = m.Name, m.Description
			id := seriesID{resource: rm.Resource.Equivalent(), scope: sm.Scope.Name, instrument: in}
			for _, p := range points {
				id.attributes = p.attributes.Equivalent()
				f(id, p)
			}
		}
	}
}

// decode is the inverse of aggregation.
func decode(data metricdata.Aggregation) (instrument, []point) {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		return instrument{kind: intSum, temporality: d.Temporality, monotonic: d.IsMonotonic}, decodeNumbers(d.DataPoints)
	case metricdata.Sum[float64]:
		return instrument{kind: floatSum, temporality: d.Temporality, monotonic: d.IsMonotonic}, decodeNumbers(d.DataPoints)
	case metricdata.Gauge[int64]:
		return instrument{kind: intGauge}, decodeNumbers(d.DataPoints)
	case metricdata.Gauge[float64]:
		return instrument{kind: floatGauge}, decodeNumbers(d.DataPoints)
	case metricdata.Histogram[int64]:
		return instrument{kind: intHistogram, temporality: d.Temporality}, decodeHistograms(d.DataPoints)
	case metricdata.Histogram[float64]:
		return instrument{kind: floatHistogram, temporality: d.Temporality}, decodeHistograms(d.DataPoints)
	case metricdata.ExponentialHistogram[int64]:
		return instrument{kind: intExponential, temporality: d.Temporality}, decodeExponentials(d.DataPoints)
	case metricdata.ExponentialHistogram[float64]:
		return instrument{kind: floatExponential, temporality: d.Temporality}, decodeExponentials(d.DataPoints)
	case metricdata.Summary:
		return instrument{kind: summary}, decodeSummaries(d.DataPoints)
	default:
		panic(fmt.Sprintf("queuetest: no source makes a %T", data))
	}
}

func decodeNumbers[N int64 | float64](encoded []metricdata.DataPoint[N]) []point {
	points := make([]point, len(encoded))
	for i, p := range encoded {
		points[i] = point{p.Attributes, p.StartTime, p.Time, amount{value: float64(p.Value)}}
	}
	return points
}

func decodeHistograms[N int64 | float64](encoded []metricdata.HistogramDataPoint[N]) []point {
	points := make([]point, len(encoded))
	for i, p := range encoded {
		a := amount{value: float64(p.Sum), count: int64(p.Count), buckets: map[bucket]int64{}}
		decodeBuckets(a.buckets, 0, 0, p.BucketCounts)
		points[i] = point{p.Attributes, p.StartTime, p.Time, a}
	}
	return points
}

func decodeExponentials[N int64 | float64](encoded []metricdata.ExponentialHistogramDataPoint[N]) []point {
	points := make([]point, len(encoded))
	for i, p := range encoded {
		a := amount{value: float64(p.Sum), count: int64(p.Count), scale: p.Scale, buckets: map[bucket]int64{}}
		decodeBuckets(a.buckets, 0, 0, []uint64{p.ZeroCount})
		decodeBuckets(a.buckets, 1, p.PositiveBucket.Offset, p.PositiveBucket.Counts)
		decodeBuckets(a.buckets, -1, p.NegativeBucket.Offset, p.NegativeBucket.Counts)
		points[i] = point{p.Attributes, p.StartTime, p.Time, a}
	}
	return points
}

func decodeBuckets(buckets map[bucket]int64, sign int, offset int32, counts []uint64) {
	for i, n := range counts {
		if n > 0 {
			buckets[bucket{sign, int(offset) + i}] = int64(n)
		}
	}
}

func decodeSummaries(encoded []metricdata.SummaryDataPoint) []point {
	points := make([]point, len(encoded))
	for i, p := range encoded {
		points[i] = point{p.Attributes, p.StartTime, p.Time, amount{value: p.Sum, count: int64(p.Count)}}
	}
	return points
}
