package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// Copy fills dst with a deep copy of src and returns it; with a nil dst it
// allocates. The copy belongs to dst and is valid until dst is filled again.
// src must not come from dst. Copy does not change src: other functions may read
// it concurrently.
//
// The copy shares nothing mutable with src: it has scopes, metrics, data points,
// bounds, bucket counts, exemplars with their attributes and ids, and quantiles
// of its own. It shares what is immutable: the *resource.Resource, attribute
// sets and values, and strings. An aggregation of an unknown kind is not copied,
// see [Unknown].
//
// Within the copy, data points of one metric may share one slice of bounds, as
// in the SDK. Nothing else is shared, and nothing between two metrics, so that
// an exporter may change each metric in place. No slice has spare capacity, so
// an append never writes into another slice. Nil slices stay nil, and empty
// ones empty.
func Copy(dst *Buffer, src *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	if dst == nil {
		dst = new(Buffer)
	}
	if dst.isNew() {
		var n need
		n.addCollection(src)
		dst.reserve(&n)
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
	copyRange(b, dst, src, 0, kindOf(src.Data).points(src.Data))
}

// copyRange makes dst a copy of src with its data points from index from up to
// index to.
func copyRange(b *Buffer, dst, src *metricdata.Metrics, from, to int) {
	b.putMetric(dst, src, kindOf(src.Data).copy(b, dst.Data, src.Data, from, to), to-from)
}
