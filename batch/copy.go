package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// Copy fills dst with a deep copy of src and returns it; with a nil dst it
// allocates. The copy belongs to dst and is valid until dst is filled again.
// src must not come from dst itself.
//
// The copy shares nothing with src that anyone may change: scopes, metrics,
// data points, bounds, bucket counts, exemplars with their attributes and ids,
// and quantiles are its own. It does share what is immutable: the
// *resource.Resource, attribute sets and values, and strings. Data points
// of one metric may share one slice of bounds, as in the SDK; those of different
// metrics never do. No slice has spare capacity, so an append never writes into another.
// Nil slices stay nil, and empty ones empty.
func Copy(dst *Buffer, src *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	if dst == nil {
		dst = new(Buffer)
	}
	dst.begin()
	defer dst.end()

	dst.collection.Resource = src.Resource
	dst.collection.ScopeMetrics = nil
	if src.ScopeMetrics == nil {
		return &dst.collection
	}
	scopes := dst.scopes.take(len(src.ScopeMetrics))
	for i := range scopes {
		scopes[i].Scope = src.ScopeMetrics[i].Scope
		scopes[i].Metrics = copyMetrics(dst, src.ScopeMetrics[i].Metrics)
	}
	dst.collection.ScopeMetrics = scopes
	return &dst.collection
}

func copyMetrics(b *Buffer, src []metricdata.Metrics) []metricdata.Metrics {
	if src == nil {
		return nil
	}
	dst := b.metrics.take(len(src))
	for i := range dst {
		copyWhole(b, &dst[i], &src[i])
	}
	return dst
}

// copyWhole makes dst a copy of src.
func copyWhole(b *Buffer, dst, src *metricdata.Metrics) {
	copyMetric(b, dst, src, 0, kindOf(src.Data).points(src.Data))
}

// copyMetric makes dst a copy of src with its data points from the index from
// up to to.
func copyMetric(b *Buffer, dst, src *metricdata.Metrics, from, to int) {
	b.putMetric(dst, src, kindOf(src.Data).copy(b, dst.Data, src.Data, from, to), to-from)
}

func deepenPoints[N number](b *Buffer, a *numberArenas[N], points []metricdata.DataPoint[N]) {
	for i := range points {
		p := &points[i]
		if p.Exemplars != nil {
			p.Exemplars = cloneExemplars(b, a, p.Exemplars)
		}
	}
}

func deepenHistograms[N number](
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

func deepenExponentials[N number](
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

func deepenSummaries(b *Buffer, points []metricdata.SummaryDataPoint) {
	for i := range points {
		points[i].QuantileValues = b.quantiles.clone(points[i].QuantileValues)
	}
}

func cloneExemplars[N number](
	b *Buffer, a *numberArenas[N], src []metricdata.Exemplar[N],
) []metricdata.Exemplar[N] {
	dst := a.exemplars.clone(src)
	deepenExemplars(b, dst)
	return dst
}

func deepenExemplars[N number](b *Buffer, exemplars []metricdata.Exemplar[N]) {
	for i := range exemplars {
		e := &exemplars[i]
		e.FilteredAttributes = b.attrs.clone(e.FilteredAttributes)
		e.SpanID = b.ids.clone(e.SpanID)
		e.TraceID = b.ids.clone(e.TraceID)
	}
}
