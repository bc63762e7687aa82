package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// Points returns the number of data points in rm. An aggregation of an unknown
// kind counts as one, a missing one (nil) as none. rm may be nil. Points does
// not change rm and may be called concurrently. It takes time in proportion to
// the number of metrics.
func Points(rm *metricdata.ResourceMetrics) int {
	if rm == nil {
		return 0
	}
	n := 0
	for i := range rm.ScopeMetrics {
		n += scopePoints(&rm.ScopeMetrics[i])
	}
	return n
}

func scopePoints(sm *metricdata.ScopeMetrics) int {
	n := 0
	for i := range sm.Metrics {
		data := sm.Metrics[i].Data
		n += kindOf(data).points(data)
	}
	return n
}

// Unknown returns the first metric in rm whose aggregation is of a kind that
// this package does not know, or nil. This package passes such an aggregation on
// as it is: it does not copy, split or join any of it. The metric belongs to rm.
// Unknown does not change rm and may be called concurrently.
func Unknown(rm *metricdata.ResourceMetrics) *metricdata.Metrics {
	for i := range rm.ScopeMetrics {
		metrics := rm.ScopeMetrics[i].Metrics
		for j := range metrics {
			if kindOf(metrics[j].Data) == unknownKind {
				return &metrics[j]
			}
		}
	}
	return nil
}
