package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// Coalesce fills dst with one collection that stands for older and newer, which
// follow each other in time, and returns it; with a nil dst it allocates. The
// result has a lower resolution in time, but the same totals. It belongs to dst,
// is valid until dst is filled again, and shares nothing mutable with older and
// newer, as in [Copy]. Neither of them may come from dst, and both must have
// equal resources, see [SameResource]. Coalesce does not change them: other
// functions may read them concurrently.
//
// Coalesce joins two points of the same series where that is possible:
//
//   - It adds delta sums and histograms; the point covers the time of both.
//   - Of two cumulative points with the same start it keeps the newer one.
//   - Of two gauges or summaries it keeps the newer one.
//
// In all other cases it keeps both points, the older one first: when a
// cumulative series was reset in between, when the bounds or the zero threshold
// of a histogram changed, when a number would overflow, and when time went
// backwards. A series is identified by its scope, by the name, unit, kind,
// temporality and monotonicity of its metric, and by its attributes. Exponential
// histograms get the lower scale of the two. They get a still lower one while
// they have more than 160 buckets of one sign and more than either had before.
// A point keeps the newest exemplars, as many as the one of the two that had
// more.
//
// Scopes and metrics have the order of newer; those that only older has come
// first, so that older points come first also if the result is split. Points
// have the order of older; those that only newer has come last. The points of a
// series always keep their order.
//
// The rules follow the data model of OpenTelemetry for changes of the
// temporality and resolution of a stream:
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#temporality,
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#resets-and-gaps,
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponential-scale.
func Coalesce(dst *Buffer, older, newer *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	if dst == nil {
		dst = new(Buffer)
	}
	dst.begin()
	defer dst.end()
	p := newPairer()
	defer p.release()

	pairs := p.pairScopes(older.ScopeMetrics, newer.ScopeMetrics)
	scopes := dst.scopes.take(len(older.ScopeMetrics) + pairs.rest)
	k := 0
	for i, j := range pairs.partner {
		if src := &older.ScopeMetrics[i]; j < 0 {
			scopes[k].Scope, scopes[k].Metrics = src.Scope, copyMetrics(dst, src.Metrics)
			k++
		}
	}
	for j, i := range pairs.partnerOfNewer {
		src := &newer.ScopeMetrics[j]
		scopes[k].Scope = src.Scope
		if i >= 0 {
			scopes[k].Metrics = coalesceMetrics(dst, p, older.ScopeMetrics[i].Metrics, src.Metrics)
		} else {
			scopes[k].Metrics = copyMetrics(dst, src.Metrics)
		}
		k++
	}
	dst.collection.Resource = newer.Resource
	dst.collection.ScopeMetrics = scopes
	return &dst.collection
}

func coalesceMetrics(b *Buffer, p *pairer, older, newer []metricdata.Metrics) []metricdata.Metrics {
	pairs := p.pairMetrics(older, newer)
	dst := b.metrics.take(len(older) + pairs.rest)
	k := 0
	for i, j := range pairs.partner {
		if j < 0 {
			copyWhole(b, &dst[k], &older[i])
			k++
		}
	}
	for j, i := range pairs.partnerOfNewer {
		if i >= 0 {
			coalesceMetric(b, p, &dst[k], &older[i], &newer[j])
		} else {
			copyWhole(b, &dst[k], &newer[j])
		}
		k++
	}
	return dst
}

// coalesceMetric makes dst one metric of two that are of the same stream.
func coalesceMetric(b *Buffer, p *pairer, dst, older, newer *metricdata.Metrics) {
	data, points := kindOf(newer.Data).coalesce(b, &p.points, dst.Data, older.Data, newer.Data)
	b.putMetric(dst, newer, data, points)
}
