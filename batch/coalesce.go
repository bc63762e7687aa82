package batch

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Coalesce fills dst with one collection that says of the same time what older
// and newer, which follow each other, say of its two parts. What is lost is
// resolution in time, never a total. The result belongs to dst and shares
// nothing with older and newer that anyone may change, as with [Copy]. Neither
// of them may come from dst. They must be of equal resources, see
// [SameResource].
//
// Points of the same series become one where that is possible:
//
//   - delta sums and histograms are added up, and the point covers the time of
//     both;
//   - of cumulative points with the same start, the newer one says all;
//   - of gauges and summaries, the newer one counts.
//
// In all other cases both points stay, the older one first: a cumulative series
// was reset in between, the bounds or the zero threshold of a histogram
// changed, a number would overflow, time went backwards. A series is given by
// its scope, by name, unit, kind, temporality and monotonicity of its metric,
// and by its attributes. Exponential histograms are brought to the lower scale,
// and to a lower one still while they have more than 160 buckets of one sign
// and more than they had before. Of exemplars the newest are kept, as many as
// the point with more of them had.
//
// Scopes and metrics are in the order of newer, with what is in older only in
// front of them: so what is older comes first, also where this is split. Points
// are in the order of older, with what is new behind them. Points of one series
// are never reordered.
//
// The rules are those that the data model of OpenTelemetry gives for changing
// the temporality and resolution of a stream:
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#temporality,
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#resets-and-gaps,
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponential-scale.
func Coalesce(dst *Buffer, older, newer *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	if dst == nil {
		dst = new(Buffer)
	}
	dst.begin()
	defer dst.end()
	m := matchers.Get().(*matcher)
	defer m.release()

	m.scopes.match(len(older.ScopeMetrics), len(newer.ScopeMetrics),
		func(i int) scopeID { return scopeIDOf(&older.ScopeMetrics[i].Scope) },
		func(j int) scopeID { return scopeIDOf(&newer.ScopeMetrics[j].Scope) })
	scopes := dst.scopes.take(len(older.ScopeMetrics) + m.scopes.rest)
	k := 0
	for i, j := range m.scopes.partner {
		if src := &older.ScopeMetrics[i]; j < 0 {
			scopes[k].Scope, scopes[k].Metrics = src.Scope, copyMetrics(dst, src.Metrics)
			k++
		}
	}
	for j, i := range m.scopes.partnerOfNewer {
		src := &newer.ScopeMetrics[j]
		scopes[k].Scope = src.Scope
		if i >= 0 {
			scopes[k].Metrics = coalesceMetrics(dst, m, older.ScopeMetrics[i].Metrics, src.Metrics)
		} else {
			scopes[k].Metrics = copyMetrics(dst, src.Metrics)
		}
		k++
	}
	dst.collection.Resource = newer.Resource
	dst.collection.ScopeMetrics = scopes
	return &dst.collection
}

// SameResource reports whether the resources of a and b are equal, so that the
// two can be made one.
func SameResource(a, b *metricdata.ResourceMetrics) bool {
	if a.Resource == b.Resource {
		return true
	}
	return a.Resource.Equal(b.Resource) && a.Resource.SchemaURL() == b.Resource.SchemaURL()
}

func coalesceMetrics(b *Buffer, m *matcher, older, newer []metricdata.Metrics) []metricdata.Metrics {
	m.metrics.match(len(older), len(newer),
		func(i int) instrumentID { return instrumentIDOf(&older[i], i) },
		func(j int) instrumentID { return instrumentIDOf(&newer[j], -1-j) })
	dst := b.metrics.take(len(older) + m.metrics.rest)
	k := 0
	for i, j := range m.metrics.partner {
		if j < 0 {
			copyWhole(b, &dst[k], &older[i])
			k++
		}
	}
	for j, i := range m.metrics.partnerOfNewer {
		if i >= 0 {
			coalesceMetric(b, m, &dst[k], &older[i], &newer[j])
		} else {
			copyWhole(b, &dst[k], &newer[j])
		}
		k++
	}
	return dst
}

// coalesceMetric makes dst one metric of two that are of the same stream.
func coalesceMetric(b *Buffer, m *matcher, dst, older, newer *metricdata.Metrics) {
	data, points := kindOf(newer.Data).coalesce(b, m, dst.Data, older.Data, newer.Data)
	b.putMetric(dst, newer, data, points)
}

func (k aggregation[A, P]) coalesce(
	b *Buffer, m *matcher, old, older, newer metricdata.Aggregation,
) (metricdata.Aggregation, int) {
	src := newer.(A)
	points := k.coalescePoints(b, &m.points, k.head(src), k.get(older.(A)), k.get(src))
	return k.box(old, src, points), len(points)
}

// coalescePoints returns the points of older, each joined with the one of newer
// that is of the same series if possible, and behind them the rest of newer.
func (k aggregation[A, P]) coalescePoints(
	b *Buffer, m *matching[attribute.Distinct], h header, older, newer []P,
) []P {
	m.matchNeighbours(len(older), len(newer),
		func(i int) attribute.Distinct { return k.attributes(&older[i]).Equivalent() },
		func(j int) attribute.Distinct { return k.attributes(&newer[j]).Equivalent() })
	dst := k.arena(b).take(len(older) + m.rest)
	apart := 0
	for i := range older {
		if j := m.partner[i]; j >= 0 {
			// A Distinct is a hash: it may be the same for different attributes.
			if k.attributes(&older[i]).Equals(k.attributes(&newer[j])) && k.join(b, h, &dst[i], &older[i], &newer[j]) {
				continue
			}
			m.partnerOfNewer[j] = -1
			apart++
		}
		dst[i] = older[i]
		k.deepen(b, dst[i:i+1])
	}
	if apart > 0 {
		dst = k.arena(b).grow(dst, apart)
	}
	rest := dst[len(older):len(older)]
	for j := range newer {
		if m.partnerOfNewer[j] < 0 {
			rest = append(rest, newer[j])
		}
	}
	k.deepen(b, rest)
	return dst
}

// scopeID and streamID are what makes two scopes, and two metrics within them,
// the same, see
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
	unknown    int // makes what is unknown a stream of its own
}

// instrumentID tells the instruments of a stream apart: the SDK makes a metric
// for each of those that differ in their description only.
type instrumentID struct {
	streamID
	description string
}

func instrumentIDOf(m *metricdata.Metrics, place int) instrumentID {
	return instrumentID{streamIDOf(m, place), m.Description}
}

// header is what an aggregation says of all its points.
type header struct {
	temporality metricdata.Temporality
	monotonic   bool
}

// streamIDOf returns the stream of a metric at a place that no other one has.
func streamIDOf(m *metricdata.Metrics, place int) streamID {
	k := kindOf(m.Data)
	id := streamID{name: m.Name, unit: m.Unit, kind: k, header: k.header(m.Data)}
	if k == unknownKind {
		id.unknown = place
	}
	return id
}
