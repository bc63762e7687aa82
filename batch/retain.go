package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// Retain removes from rm, in place, the data points for whose index keep returns
// false, and the metrics and scopes that have none left. It calls keep once for
// each point, in the order of [AppendSeries], with indexes that count from 0. An
// aggregation of an unknown kind counts as one point.
//
// rm must be the caller's own, such as a copy: Retain changes all its slices.
func Retain(rm *metricdata.ResourceMetrics, keep func(i int) bool) {
	next := 0
	keepNext := func() bool {
		next++
		return keep(next - 1)
	}
	scopes := rm.ScopeMetrics[:0]
	for _, sm := range rm.ScopeMetrics {
		metrics := sm.Metrics[:0]
		for _, m := range sm.Metrics {
			k := kindOf(m.Data)
			var left bool
			if m.Data, left = k.retain(m.Data, keepNext); left {
				metrics = append(metrics, m)
			}
		}
		if sm.Metrics = metrics; len(metrics) > 0 {
			scopes = append(scopes, sm)
		}
	}
	rm.ScopeMetrics = scopes
}

func (k *aggregation[A, P]) retain(data metricdata.Aggregation, keep func() bool) (metricdata.Aggregation, bool) {
	a := data.(A)
	points := k.get(a)
	kept := points[:0]
	for i := range points {
		if keep() {
			kept = append(kept, points[i])
		}
	}
	if len(kept) == len(points) {
		return data, len(kept) > 0
	}
	return k.with(a, kept), len(kept) > 0
}

func (k opaque) retain(data metricdata.Aggregation, keep func() bool) (metricdata.Aggregation, bool) {
	return data, k.size > 0 && keep()
}
