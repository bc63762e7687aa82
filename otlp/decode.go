package otlp

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/protobuf/encoding/protowire"
)

// Decode returns the collection that b, a message
// opentelemetry.proto.metrics.v1.ResourceMetrics, is of. It is the reverse of
// [Append], and takes what any other implementation of OTLP has written. See
// the package documentation for what does not come back as it was.
//
// Nothing in the result refers to b. Points of a metric share their bounds if
// they are equal, as those from the SDK do.
//
// If b is damaged, or means something that metricdata cannot express, Decode
// returns nil and a [*DecodeError], which says what it is and where. Whatever b
// is, Decode does not panic, and allocates at most 200 bytes for each byte of b:
// that is what empty messages, of two bytes, become. For a record from Append it
// is two to four bytes.
func Decode(b []byte) (*metricdata.ResourceMetrics, error) {
	d := decoder{}
	rm, err := d.resourceMetrics(reader{schema: &resourceMetricsSchema, b: b})
	if err != nil {
		return nil, err
	}
	return rm, nil
}

// A decoder has what one Decode uses again and again.
type decoder struct {
	// attrs is the attributes of what is being decoded. Behind its end are
	// those of what was decoded before, whose strings are used again.
	attrs []attribute.KeyValue

	// counts is memory for bucket counts; see take.
	counts []uint64
	left   remains

	// bounds is what the last histogram had, and boundsRaw how it was encoded.
	bounds    []float64
	boundsRaw []byte
}

func (d *decoder) resourceMetrics(r reader) (*metricdata.ResourceMetrics, *DecodeError) {
	rm := &metricdata.ResourceMetrics{}
	var res part
	var schemaURL string
	for r.next() {
		switch r.num {
		case resourceMetricsResource:
			r.join(&res)
		case resourceMetricsScopes:
			if rm.ScopeMetrics == nil {
				rm.ScopeMetrics = make([]metricdata.ScopeMetrics, 0, r.count())
			}
			i := len(rm.ScopeMetrics)
			rm.ScopeMetrics = rm.ScopeMetrics[:i+1]
			r.nestAt(d.scopeMetrics(r.sub(&scopeMetricsSchema), &rm.ScopeMetrics[i]), i)
		case resourceMetricsSchemaURL:
			schemaURL = string(r.raw)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := d.resource(res.reader(&resourceSchema)); err != nil {
		return nil, err.within("resource")
	}
	rm.Resource = resource.NewWithAttributes(schemaURL, d.attrs...)
	return rm, nil
}

// resource leaves the attributes of the resource in d.attrs.
func (d *decoder) resource(r reader) *DecodeError {
	d.attrs = d.attrs[:0]
	for r.next() {
		if r.num == resourceAttributes {
			d.attribute(&r)
		}
	}
	return r.err
}

func (d *decoder) scopeMetrics(r reader, sm *metricdata.ScopeMetrics) *DecodeError {
	var scope part
	for r.next() {
		switch r.num {
		case scopeMetricsScope:
			r.join(&scope)
		case scopeMetricsMetrics:
			if sm.Metrics == nil {
				sm.Metrics = make([]metricdata.Metrics, 0, r.count())
			}
			i := len(sm.Metrics)
			sm.Metrics = sm.Metrics[:i+1]
			r.nestAt(d.metric(r.sub(&metricSchema), &sm.Metrics[i]), i)
		case scopeMetricsSchemaURL:
			sm.Scope.SchemaURL = string(r.raw)
		}
	}
	if r.err != nil {
		return r.err
	}
	if err := d.scope(scope.reader(&scopeSchema), &sm.Scope); err != nil {
		return err.within("scope")
	}
	return nil
}

func (d *decoder) scope(r reader, s *instrumentation.Scope) *DecodeError {
	d.attrs = d.attrs[:0]
	for r.next() {
		switch r.num {
		case scopeName:
			s.Name = string(r.raw)
		case scopeVersion:
			s.Version = string(r.raw)
		case scopeAttributes:
			d.attribute(&r)
		}
	}
	if len(d.attrs) > 0 { // the zero set otherwise, as the SDK has it
		s.Attributes = attribute.NewSet(d.attrs...)
	}
	return r.err
}

func (d *decoder) metric(r reader, m *metricdata.Metrics) *DecodeError {
	var data part // the last of the oneof
	var num protowire.Number
	for r.next() {
		switch r.num {
		case metricName:
			m.Name = string(r.raw)
		case metricDescription:
			m.Description = string(r.raw)
		case metricUnit:
			m.Unit = string(r.raw)
		case metricGauge, metricSum, metricHistogram, metricExponential, metricSummary:
			if r.num != num {
				data, num = part{}, r.num
			}
			r.join(&data)
		}
	}
	if r.err != nil || num == 0 {
		return r.err
	}
	var err *DecodeError
	if m.Data, err = d.data(num, data); err != nil {
		return err.within(metricSchema[num].name)
	}
	return nil
}

// data decodes the aggregation that was in the field num.
func (d *decoder) data(num protowire.Number, data part) (metricdata.Aggregation, *DecodeError) {
	switch num {
	case metricGauge:
		return decodeNumbers(d, data.reader(&pointsSchema), gaugeOf[int64], gaugeOf[float64])
	case metricSum:
		return decodeNumbers(d, data.reader(&sumSchema), sumOf[int64], sumOf[float64])
	case metricHistogram:
		return decodeData(d, data.reader(&histogramSchema), &histogramPointSchema, decodeHistogram, histogramOf)
	case metricExponential:
		return decodeData(d, data.reader(&histogramSchema), &exponentialPointSchema, decodeExponential, exponentialOf)
	default:
		return decodeData(d, data.reader(&pointsSchema), &summaryPointSchema, decodeSummary, summaryOf)
	}
}

func gaugeOf[N number](_ header, points []metricdata.DataPoint[N]) metricdata.Aggregation {
	return metricdata.Gauge[N]{DataPoints: points}
}

func sumOf[N number](h header, points []metricdata.DataPoint[N]) metricdata.Aggregation {
	return metricdata.Sum[N]{DataPoints: points, Temporality: h.temporality, IsMonotonic: h.monotonic}
}

func histogramOf(h header, points []metricdata.HistogramDataPoint[float64]) metricdata.Aggregation {
	return metricdata.Histogram[float64]{DataPoints: points, Temporality: h.temporality}
}

func exponentialOf(h header, points []metricdata.ExponentialHistogramDataPoint[float64]) metricdata.Aggregation {
	return metricdata.ExponentialHistogram[float64]{DataPoints: points, Temporality: h.temporality}
}

func summaryOf(_ header, points []metricdata.SummaryDataPoint) metricdata.Aggregation {
	return metricdata.Summary{DataPoints: points}
}

// decodeData decodes an aggregation: its points, each with point, and its
// header, of both of which with makes the result.
func decodeData[P any](
	d *decoder, r reader, points *schema, point func(*decoder, reader, *P) *DecodeError,
	with func(header, []P) metricdata.Aggregation,
) (metricdata.Aggregation, *DecodeError) {
	var h header
	var decoded []P
	for r.next() {
		switch r.num {
		case dataPoints:
			if decoded == nil {
				decoded = make([]P, 0, r.count())
			}
			i := len(decoded)
			decoded = decoded[:i+1]
			d.left = remains{points: cap(decoded) - i, bytes: len(r.b) - r.at}
			r.nestAt(point(d, r.sub(points), &decoded[i]), i)
		case dataTemporality:
			h.temporality = decodeTemporality(&r)
		case dataMonotonic:
			h.monotonic = r.val != 0
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return with(h, decoded), nil
}

func decodeTemporality(r *reader) metricdata.Temporality {
	switch t := int32(r.val); t {
	case temporalityUnspecified:
	case temporalityDelta:
		return metricdata.DeltaTemporality
	case temporalityCumulative:
		return metricdata.CumulativeTemporality
	default:
		r.fail(fmt.Errorf("%w %d", ErrTemporality, t))
	}
	return 0
}
