package otlp

import (
	"errors"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// InvalidUTF8 returns the indexes of the data points that the OTLP exporters of
// OpenTelemetry cannot send, because a string is not valid UTF-8: protobuf refuses
// a request with one such string as a whole. That is a string in the attributes or
// exemplars of the point, or in what it has in common with others: its metric, its
// scope, the resource. Indexes count from 0, in the order of batch.AppendSeries.
//
// [Append] is not as strict: it writes the value of an attribute that is not valid
// UTF-8 as bytes.
func InvalidUTF8(rm *metricdata.ResourceMetrics) (points []int) {
	bad := make(map[place]bool)
	e := encoder{rm: rm, place: nowhere, invalid: func(p place) {
		p.data = ""
		bad[p] = true
	}}
	e.resourceMetrics()
	if len(bad) == 0 {
		return nil
	}
	index := 0
	for i := range rm.ScopeMetrics {
		metrics := rm.ScopeMetrics[i].Metrics
		for j := range metrics {
			one := metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: metrics[j : j+1]}}}
			all := bad[nowhere] || bad[place{scope: i, metric: -1, point: -1}] || bad[place{scope: i, metric: j, point: -1}]
			for k := range batch.Points(&one) {
				if all || bad[place{scope: i, metric: j, point: k}] {
					points = append(points, index)
				}
				index++
			}
		}
	}
	return points
}

// isInvalid reports whether the encoder only looks for what is not valid UTF-8,
// and notes the place if err is about such a string.
func (e *encoder) isInvalid(err error) bool {
	if e.invalid == nil {
		return false
	}
	if errors.Is(err, ErrUTF8) {
		e.invalid(e.place)
	}
	return true
}
