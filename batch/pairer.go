package batch

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A pairer finds the scopes, metrics and data points that occur in two
// collections, or twice in one. It is the working memory of [Coalesce], [Fold]
// and [HasRepeatedSeries].
type pairer struct {
	scopes  chains[scopeID]
	metrics chains[streamID]
	points  pairing[attribute.Distinct]

	// The metrics of one scope.
	olderMetrics, newerMetrics []*metricdata.Metrics

	outputs [2]output
}

// pairers keeps few pairers, because each is as large as the largest metric
// that it has seen.
var pairers = sync.Pool{New: func() any { return new(pairer) }}

func newPairer() *pairer { return pairers.Get().(*pairer) }

// release ends the use of p.
func (p *pairer) release() {
	clear(p.olderMetrics[:cap(p.olderMetrics)])
	clear(p.newerMetrics[:cap(p.newerMetrics)])
	p.outputs = [2]output{}
	pairers.Put(p)
}

func (p *pairer) linkScopes(older, newer []metricdata.ScopeMetrics) *chains[scopeID] {
	p.scopes.link(len(older), len(newer),
		func(i int) scopeID { return scopeIDOf(&older[i].Scope) },
		func(j int) scopeID { return scopeIDOf(&newer[j].Scope) })
	return &p.scopes
}

// linkMetrics links the metrics of all scopes in the chains of a newer one.
func (p *pairer) linkMetrics(older, newer []metricdata.ScopeMetrics, scope int32) *chains[streamID] {
	p.olderMetrics, p.newerMetrics = p.olderMetrics[:0], p.newerMetrics[:0]
	for i := p.scopes.firstOlder[scope]; i >= 0; i = p.scopes.nextOlder[i] {
		p.olderMetrics = appendPointers(p.olderMetrics, older[i].Metrics)
	}
	for j := scope; j >= 0; j = p.scopes.nextNewer[j] {
		p.newerMetrics = appendPointers(p.newerMetrics, newer[j].Metrics)
	}
	p.metrics.link(len(p.olderMetrics), len(p.newerMetrics),
		func(i int) streamID { return streamIDOf(p.olderMetrics[i], i) },
		func(j int) streamID { return streamIDOf(p.newerMetrics[j], -1-j) })
	return &p.metrics
}

func appendPointers[E any](dst []*E, src []E) []*E {
	for i := range src {
		dst = append(dst, &src[i])
	}
	return dst
}

// repeatsScope reports whether two scopes are the same.
func (p *pairer) repeatsScope(scopes []metricdata.ScopeMetrics) bool {
	return p.scopes.repeats(len(scopes), func(i int) scopeID { return scopeIDOf(&scopes[i].Scope) })
}

// repeatsStream reports whether two metrics are of one stream, or of one name
// and of an unknown kind.
func (p *pairer) repeatsStream(metrics []metricdata.Metrics) bool {
	const samePlace = 0
	return p.metrics.repeats(len(metrics), func(i int) streamID { return streamIDOf(&metrics[i], samePlace) })
}
