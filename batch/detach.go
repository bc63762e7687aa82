package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// The functions in this file detach data points from the memory of others. The
// points are shallow copies; the functions replace the slices that they share
// with their source by copies in the buffer. Nil slices stay nil, empty ones
// empty, and no slice has spare capacity.

func detachNumbers[N number](b *Buffer, a *numberArenas[N], points []metricdata.DataPoint[N]) {
	for i := range points {
		p := &points[i]
		if p.Exemplars != nil {
			p.Exemplars = cloneExemplars(b, a, p.Exemplars)
		}
	}
}

func detachHistograms[N number](
	b *Buffer, a *numberArenas[N], points []metricdata.HistogramDataPoint[N],
) {
	n := 0
	for i := range points {
		n += len(points[i].BucketCounts)
	}
	counts := b.counts.take(n)
	for i := range points {
		p := &points[i]
		p.Bounds = b.cloneBounds(p.Bounds)
		if p.BucketCounts != nil {
			n := copy(counts, p.BucketCounts)
			p.BucketCounts, counts = counts[:n:n], counts[n:]
		}
		if p.Exemplars != nil {
			p.Exemplars = cloneExemplars(b, a, p.Exemplars)
		}
	}
}

func detachExponentials[N number](
	b *Buffer, a *numberArenas[N], points []metricdata.ExponentialHistogramDataPoint[N],
) {
	for i := range points {
		p := &points[i]
		p.PositiveBucket.Counts = b.counts.clone(p.PositiveBucket.Counts)
		p.NegativeBucket.Counts = b.counts.clone(p.NegativeBucket.Counts)
		if p.Exemplars != nil {
			p.Exemplars = cloneExemplars(b, a, p.Exemplars)
		}
	}
}

func detachSummaries(b *Buffer, points []metricdata.SummaryDataPoint) {
	for i := range points {
		points[i].QuantileValues = b.quantiles.clone(points[i].QuantileValues)
	}
}

func detachExemplars[N number](b *Buffer, exemplars []metricdata.Exemplar[N]) {
	for i := range exemplars {
		e := &exemplars[i]
		e.FilteredAttributes = b.attrs.clone(e.FilteredAttributes)
		e.SpanID = b.ids.clone(e.SpanID)
		e.TraceID = b.ids.clone(e.TraceID)
	}
}

func cloneExemplars[N number](
	b *Buffer, a *numberArenas[N], src []metricdata.Exemplar[N],
) []metricdata.Exemplar[N] {
	dst := a.exemplars.clone(src)
	detachExemplars(b, dst)
	return dst
}
