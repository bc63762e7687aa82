package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// Merge fills dst with one collection that has the data points of all
// collections, and returns it; with a nil dst it allocates. Other than
// [Coalesce] it loses nothing and joins no points: a metric has all points of
// its stream, in the order in which they are in the arguments. So the points of a
// series stay in order of time if the collections follow each other in time; a
// series then occurs more than once, see [Repeats].
//
// The collections must be of equal resources, see [SameResource]. The result
// belongs to dst and shares nothing with them that anyone may change, as with
// [Copy]. None of them may come from dst; they may be used concurrently as long
// as nobody changes them. A merge of one collection is a copy, and a merge of
// none is empty.
//
// Metrics are of the same stream if their scopes are the same, and their name,
// unit, kind, temporality and monotonicity; those of one stream in one
// collection, which come from instruments that differ in their description, become
// one, too. Scopes and metrics come in the order in which they occur first;
// descriptions and the resource are the newest. An aggregation of an unknown
// kind stays a metric of its own.
func Merge(dst *Buffer, collections ...*metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	if len(collections) == 1 {
		return Copy(dst, collections[0])
	}
	if dst == nil {
		dst = new(Buffer)
	}
	dst.begin()
	defer dst.end()

	all := lineUp(collections, scopesOf, func(s *metricdata.ScopeMetrics, _ int) scopeID { return scopeIDOf(&s.Scope) })
	scopes := dst.scopes.take(len(all.rows))
	for i := range scopes {
		row := all.rows[i].elements
		scopes[i].Scope = row[len(row)-1].Scope
		scopes[i].Metrics = mergeMetrics(dst, row)
	}
	dst.collection = metricdata.ResourceMetrics{ScopeMetrics: scopes}
	if n := len(collections); n > 0 {
		dst.collection.Resource = collections[n-1].Resource
	}
	return &dst.collection
}

func scopesOf(rm *metricdata.ResourceMetrics) []metricdata.ScopeMetrics { return rm.ScopeMetrics }
func metricsOf(sm *metricdata.ScopeMetrics) []metricdata.Metrics        { return sm.Metrics }

func mergeMetrics(b *Buffer, scopes []*metricdata.ScopeMetrics) []metricdata.Metrics {
	all := lineUp(scopes, metricsOf, streamIDOf)
	dst := b.metrics.take(len(all.rows))
	for i := range dst {
		mergeMetric(b, &dst[i], all.rows[i].elements)
	}
	return dst
}

// mergeMetric makes dst one metric of some that are of the same stream.
func mergeMetric(b *Buffer, dst *metricdata.Metrics, src []*metricdata.Metrics) {
	newest := src[len(src)-1]
	if len(src) == 1 {
		copyWhole(b, dst, newest)
		return
	}
	data, points := kindOf(newest.Data).concat(b, dst.Data, src)
	b.putMetric(dst, newest, data, points)
}

func (k aggregation[A, P]) concat(
	b *Buffer, old metricdata.Aggregation, src []*metricdata.Metrics,
) (metricdata.Aggregation, int) {
	n := 0
	for _, m := range src {
		n += len(k.get(m.Data.(A)))
	}
	points := k.arena(b).take(n)
	rest := points
	for _, m := range src {
		rest = rest[copy(rest, k.get(m.Data.(A))):]
	}
	k.deepen(b, points)
	return k.box(old, src[len(src)-1].Data.(A), points), n
}
