package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// HasRepeatedSeries reports whether a series may occur more than once in rm:
// whether two data points of a metric have equal attributes, two metrics are of
// one stream, or two scopes are the same. It may report true for different
// attributes that have the same hash.
//
// [Merge] makes such collections, and so do [Coalesce], where two points cannot
// become one, and the SDK, where instruments differ in their description only.
// A backend needs the points of a series in order, so the parts of such a
// collection must not be sent concurrently.
//
// HasRepeatedSeries does not change rm, which may be nil. It may be called
// concurrently with all that only reads rm. It takes time in proportion to the
// number of data points.
func HasRepeatedSeries(rm *metricdata.ResourceMetrics) bool {
	if rm == nil {
		return false
	}
	p := newPairer()
	defer p.release()
	if p.repeatsScope(rm.ScopeMetrics) {
		return true
	}
	for i := range rm.ScopeMetrics {
		if repeatsSeries(p, rm.ScopeMetrics[i].Metrics) {
			return true
		}
	}
	return false
}

func repeatsSeries(p *pairer, metrics []metricdata.Metrics) bool {
	if p.repeatsStream(metrics) {
		return true
	}
	for i := range metrics {
		if data := metrics[i].Data; kindOf(data).repeats(&p.points, data) {
			return true
		}
	}
	return false
}
