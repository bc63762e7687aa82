package batch

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Repeats reports whether a series may occur more than once in rm: whether two
// data points of a metric have equal attributes, or two metrics are of one
// stream, or two scopes are the same. Such collections come from [Merge], from
// [Coalesce] where points could not be joined, and from the SDK where
// instruments differ in their description only. Such points have to arrive in
// their order, so parts of such a collection must not be sent concurrently.
//
// In doubt, where different attributes have the same hash, the answer is true.
// rm may be nil and is not changed: Repeats may be called concurrently. It takes
// time in proportion to the number of points.
func Repeats(rm *metricdata.ResourceMetrics) bool {
	if rm == nil {
		return false
	}
	m := matchers.Get().(*matcher)
	defer m.release()
	if m.scopes.repeats(len(rm.ScopeMetrics), func(i int) scopeID { return scopeIDOf(&rm.ScopeMetrics[i].Scope) }) {
		return true
	}
	for i := range rm.ScopeMetrics {
		if repeats(m, rm.ScopeMetrics[i].Metrics) {
			return true
		}
	}
	return false
}

func repeats(m *matcher, metrics []metricdata.Metrics) bool {
	const samePlace = 0 // so that unknown data of one name counts as of one stream
	if m.metrics.repeats(len(metrics), func(i int) instrumentID {
		return instrumentID{streamID: streamIDOf(&metrics[i], samePlace)}
	}) {
		return true
	}
	for i := range metrics {
		if data := metrics[i].Data; kindOf(data).repeats(m, data) {
			return true
		}
	}
	return false
}

func (k aggregation[A, P]) repeats(m *matcher, data metricdata.Aggregation) bool {
	points := k.get(data.(A))
	return m.points.repeats(len(points), func(i int) attribute.Distinct {
		return k.attributes(&points[i]).Equivalent()
	})
}

// repeats reports whether two of n elements have the same key.
func (m *matching[K]) repeats(n int, key func(int) K) bool {
	m.emptySlots(n)
	for j := range n {
		s := m.slot(key(j), key)
		if *s != 0 {
			return true
		}
		*s = int32(j) + 1
	}
	return false
}
