package rival

import (
	"slices"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// DeepCopy returns a copy that shares nothing with rm that anyone may change.
// It is the one of the hand-written rival: correct, and as one would write it.
func DeepCopy(rm *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	c := &metricdata.ResourceMetrics{Resource: rm.Resource}
	for _, sm := range rm.ScopeMetrics {
		scope := metricdata.ScopeMetrics{Scope: sm.Scope}
		for _, m := range sm.Metrics {
			m.Data = copyData(m.Data)
			scope.Metrics = append(scope.Metrics, m)
		}
		c.ScopeMetrics = append(c.ScopeMetrics, scope)
	}
	return c
}

func copyData(data metricdata.Aggregation) metricdata.Aggregation {
	switch d := data.(type) {
	case metricdata.Gauge[int64]:
		return metricdata.Gauge[int64]{DataPoints: copyPoints(d.DataPoints)}
	case metricdata.Gauge[float64]:
		return metricdata.Gauge[float64]{DataPoints: copyPoints(d.DataPoints)}
	case metricdata.Sum[int64]:
		d.DataPoints = copyPoints(d.DataPoints)
		return d
	case metricdata.Sum[float64]:
		d.DataPoints = copyPoints(d.DataPoints)
		return d
	case metricdata.Histogram[int64]:
		d.DataPoints = copyHistograms(d.DataPoints)
		return d
	case metricdata.Histogram[float64]:
		d.DataPoints = copyHistograms(d.DataPoints)
		return d
	case metricdata.ExponentialHistogram[int64]:
		d.DataPoints = copyExponentials(d.DataPoints)
		return d
	case metricdata.ExponentialHistogram[float64]:
		d.DataPoints = copyExponentials(d.DataPoints)
		return d
	case metricdata.Summary:
		d.DataPoints = slices.Clone(d.DataPoints)
		for i := range d.DataPoints {
			d.DataPoints[i].QuantileValues = slices.Clone(d.DataPoints[i].QuantileValues)
		}
		return d
	default:
		return data
	}
}

func copyPoints[N int64 | float64](points []metricdata.DataPoint[N]) []metricdata.DataPoint[N] {
	points = slices.Clone(points)
	for i := range points {
		points[i].Exemplars = copyExemplars(points[i].Exemplars)
	}
	return points
}

func copyHistograms[N int64 | float64](
	points []metricdata.HistogramDataPoint[N],
) []metricdata.HistogramDataPoint[N] {
	points = slices.Clone(points)
	for i := range points {
		p := &points[i]
		p.Bounds, p.BucketCounts = slices.Clone(p.Bounds), slices.Clone(p.BucketCounts)
		p.Exemplars = copyExemplars(p.Exemplars)
	}
	return points
}

func copyExponentials[N int64 | float64](
	points []metricdata.ExponentialHistogramDataPoint[N],
) []metricdata.ExponentialHistogramDataPoint[N] {
	points = slices.Clone(points)
	for i := range points {
		p := &points[i]
		p.PositiveBucket.Counts = slices.Clone(p.PositiveBucket.Counts)
		p.NegativeBucket.Counts = slices.Clone(p.NegativeBucket.Counts)
		p.Exemplars = copyExemplars(p.Exemplars)
	}
	return points
}

func copyExemplars[N int64 | float64](exemplars []metricdata.Exemplar[N]) []metricdata.Exemplar[N] {
	exemplars = slices.Clone(exemplars)
	for i := range exemplars {
		e := &exemplars[i]
		e.FilteredAttributes = slices.Clone(e.FilteredAttributes)
		e.SpanID, e.TraceID = slices.Clone(e.SpanID), slices.Clone(e.TraceID)
	}
	return exemplars
}
