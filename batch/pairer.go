package batch

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A pairer finds the scopes, metrics and data points that occur in two
// collections, or twice in one. It is the working memory of [Coalesce] and
// [HasRepeatedSeries].
type pairer struct {
	scopes  pairing[scopeID]
	metrics pairing[instrumentID]
	points  pairing[attribute.Distinct]
}

// pairers keeps few pairers, because each is as large as the largest metric
// that it has seen.
var pairers = sync.Pool{New: func() any { return new(pairer) }}

func newPairer() *pairer { return pairers.Get().(*pairer) }

// release ends the use of p.
func (p *pairer) release() { pairers.Put(p) }

func (p *pairer) pairScopes(older, newer []metricdata.ScopeMetrics) *pairing[scopeID] {
	p.scopes.pairInOrder(len(older), len(newer),
		func(i int) scopeID { return scopeIDOf(&older[i].Scope) },
		func(j int) scopeID { return scopeIDOf(&newer[j].Scope) })
	return &p.scopes
}

func (p *pairer) pairMetrics(older, newer []metricdata.Metrics) *pairing[instrumentID] {
	p.metrics.pairInOrder(len(older), len(newer),
		func(i int) instrumentID { return instrumentIDOf(&older[i], i) },
		func(j int) instrumentID { return instrumentIDOf(&newer[j], -1-j) })
	return &p.metrics
}

// repeatsScope reports whether two scopes are the same.
func (p *pairer) repeatsScope(scopes []metricdata.ScopeMetrics) bool {
	return p.scopes.repeats(len(scopes), func(i int) scopeID { return scopeIDOf(&scopes[i].Scope) })
}

// repeatsStream reports whether two metrics are of one stream, or of one name
// and of an unknown kind.
func (p *pairer) repeatsStream(metrics []metricdata.Metrics) bool {
	const samePlace = 0
	return p.metrics.repeats(len(metrics), func(i int) instrumentID {
		return instrumentID{streamID: streamIDOf(&metrics[i], samePlace)}
	})
}
