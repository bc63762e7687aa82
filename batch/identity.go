package batch

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// SameResource reports whether the resources of a and b are equal, so that
// [Coalesce] and [Merge] can make the two one collection. It changes neither and
// may be called concurrently.
func SameResource(a, b *metricdata.ResourceMetrics) bool {
	if a.Resource == b.Resource {
		return true
	}
	return a.Resource.Equal(b.Resource) && a.Resource.SchemaURL() == b.Resource.SchemaURL()
}

// scopeID and streamID identify a scope, and a metric in it. Two are the same
// if their ids are equal, see
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#opentelemetry-protocol-data-model-producer-recommendations.
type scopeID struct {
	name, version, schemaURL string
	attributes               attribute.Distinct
}

func scopeIDOf(s *instrumentation.Scope) scopeID {
	return scopeID{s.Name, s.Version, s.SchemaURL, s.Attributes.Equivalent()}
}

type streamID struct {
	name, unit string
	kind       kind
	header     header
	unknown    int // makes each metric of an unknown kind a stream of its own
}

// streamIDOf returns the stream of a metric. No other metric has its place.
func streamIDOf(m *metricdata.Metrics, place int) streamID {
	k := kindOf(m.Data)
	id := streamID{name: m.Name, unit: m.Unit, kind: k, header: k.header(m.Data)}
	if k == unknownKind {
		id.unknown = place
	}
	return id
}
