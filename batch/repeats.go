package batch

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Repeats reports whether a series occurs more than once in a metric of rm, that
// is, whether two of its data points have equal attributes. The SDK collects
// nothing of that kind; it comes from [Merge], and from [Coalesce] where points
// could not be joined. Such points have to arrive in their order, so parts of
// such a collection must not be sent concurrently.
//
// In doubt, where different attributes have the same hash, the answer is true.
// Of what is of an unknown kind nothing is known, and it is taken for no
// repetition. rm may be nil and is not changed: Repeats may be called
// concurrently. It takes time in proportion to the number of points.
func Repeats(rm *metricdata.ResourceMetrics) bool {
	if rm == nil {
		return false
	}
	m := matchers.Get().(*matcher)
	defer m.release()
	for i := range rm.ScopeMetrics {
		metrics := rm.ScopeMetrics[i].Metrics
		for j := range metrics {
			if data := metrics[j].Data; kindOf(data).repeats(m, data) {
				return true
			}
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
