package main

import (
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// totals is what is compared in the end. The application adds up what it
// records, a backend what it receives. All of it is whole numbers, so that
// one lost or repeated measurement shows.
type totals struct {
	increments int64 // sum of all counter increments
	recordings int64 // number of values recorded by histograms
}

func (t *totals) add(other totals) {
	t.increments += other.increments
	t.recordings += other.recordings
}

// totalsOf adds up the data points of a request, and counts them. The points
// have delta temporality: each holds what happened since the one before it,
// so the sum of all points is the sum of all measurements.
func totalsOf(req *collectorpb.ExportMetricsServiceRequest) (sum totals, points int) {
	for _, resource := range req.GetResourceMetrics() {
		for _, scope := range resource.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				t, n := totalsOfMetric(metric)
				sum.add(t)
				points += n
			}
		}
	}
	return sum, points
}

func totalsOfMetric(metric *metricspb.Metric) (sum totals, points int) {
	counted := metric.GetSum().GetDataPoints()
	for _, p := range counted {
		sum.increments += p.GetAsInt()
	}
	recorded := metric.GetHistogram().GetDataPoints()
	for _, p := range recorded {
		sum.recordings += int64(p.GetCount())
	}
	return sum, len(counted) + len(recorded)
}
