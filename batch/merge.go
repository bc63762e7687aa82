package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// Merge fills dst with one collection that has the data points of all
// collections, and returns it; with a nil dst it allocates. Unlike [Coalesce] it
// loses nothing and joins no points: a metric has all points of its stream, in
// the order of the arguments. If each collection follows the one before in time,
// the points of a series are in order of time. A series then occurs more than
// once, see [HasRepeatedSeries].
//
// The collections must have equal resources, see [SameResource]. The result
// belongs to dst, is valid until dst is filled again, and shares nothing mutable
// with the collections, as in [Copy]. None of them may come from dst. Merge does
// not change them: other functions may read them concurrently. A merge of one
// collection is a copy, and a merge of none is empty.
//
// Two metrics are of the same stream if they have the same scope, name, unit,
// kind, temporality and monotonicity. Metrics of one stream in one collection,
// which come from instruments that differ in their description, become one, too.
// Scopes and metrics are in the order in which they occur first; descriptions
// and the resource are the newest. Each aggregation of an unknown kind stays a
// metric of its own.
func Merge(dst *Buffer, collections ...*metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	if len(collections) == 1 {
		return Copy(dst, collections[0])
	}
	if dst == nil {
		dst = new(Buffer)
	}
	if dst.isNew() {
		dst.reserve(needOfPoints(collections))
	}
	dst.begin()
	defer dst.end()

	same := groupBy(collections, scopesOf, func(s *metricdata.ScopeMetrics, _ int) scopeID { return scopeIDOf(&s.Scope) })
	scopes := dst.scopes.take(len(same.all))
	for i := range scopes {
		src := same.all[i].elements
		scopes[i].Scope = src[len(src)-1].Scope
		scopes[i].Metrics = mergeMetrics(dst, src)
	}
	dst.collection = metricdata.ResourceMetrics{ScopeMetrics: scopes}
	if n := len(collections); n > 0 {
		dst.collection.Resource = collections[n-1].Resource
	}
	return &dst.collection
}

// needOfPoints returns what the points of all collections need. Scopes, metrics
// and bounds are left out: a merge has fewer of them than its sources.
func needOfPoints(collections []*metricdata.ResourceMetrics) *need {
	var n need
	for _, rm := range collections {
		n.addCollection(rm)
	}
	n.scopes, n.metrics, n.bounds = 0, 0, 0
	return &n
}

func scopesOf(rm *metricdata.ResourceMetrics) []metricdata.ScopeMetrics { return rm.ScopeMetrics }
func metricsOf(sm *metricdata.ScopeMetrics) []metricdata.Metrics        { return sm.Metrics }

func mergeMetrics(b *Buffer, scopes []*metricdata.ScopeMetrics) []metricdata.Metrics {
	same := groupBy(scopes, metricsOf, streamIDOf)
	dst := b.metrics.take(len(same.all))
	for i := range dst {
		mergeMetric(b, &dst[i], same.all[i].elements)
	}
	return dst
}

// mergeMetric makes dst one metric of all in src, which are of one stream.
func mergeMetric(b *Buffer, dst *metricdata.Metrics, src []*metricdata.Metrics) {
	newest := src[len(src)-1]
	if len(src) == 1 {
		copyWhole(b, dst, newest)
		return
	}
	data, points := kindOf(newest.Data).concat(b, dst.Data, src)
	b.putMetric(dst, newest, data, points)
}
