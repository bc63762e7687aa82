package otlp

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/encoding/protowire"
)

// Append appends rm to dst as a message
// opentelemetry.proto.metrics.v1.ResourceMetrics and returns the extended
// slice. If dst has the capacity, it allocates next to nothing, attributes that
// are lists or bytes aside. Neither rm nor anything in it is kept or changed;
// Append may be called from several goroutines with the same rm.
//
// If OTLP cannot express something in rm, Append returns dst as it was, though
// not what is behind it in its array, and an [*AppendError], which says what it
// is and of which metric. The rest is up to the caller: nothing is left out
// silently.
func Append(dst []byte, rm *metricdata.ResourceMetrics) ([]byte, error) {
	if rm == nil {
		return dst, &AppendError{Path: "resource_metrics", Err: errNil}
	}
	e := encoder{writer: writer{dst}, rm: rm, place: nowhere}
	e.resourceMetrics()
	if e.err != nil {
		return dst, e.err
	}
	return e.b, nil
}

// An encoder writes one collection. After an error, what it writes is void.
type encoder struct {
	writer
	rm    *metricdata.ResourceMetrics
	place place
	err   *AppendError // the first one

	invalid func(place) // if set, it hears of invalid strings, and there is no error; see InvalidUTF8
}

// A place is where in the collection an encoder is; -1 is outside.
type place struct {
	scope, metric, point int
	data                 string
}

var nowhere = place{-1, -1, -1, ""}

// fail keeps the error, unless there is one, for what is called leaf in the
// current place.
func (e *encoder) fail(err error, leaf string) {
	if e.isInvalid(err) || e.err != nil {
		return
	}
	var path []string
	name := ""
	p := e.place
	if p.scope >= 0 {
		path = append(path, fmt.Sprintf("scope_metrics[%d]", p.scope))
	}
	if p.metric >= 0 {
		path = append(path, fmt.Sprintf("metrics[%d]", p.metric))
		name = e.rm.ScopeMetrics[p.scope].Metrics[p.metric].Name
	}
	if p.data != "" {
		path = append(path, p.data)
	}
	if p.point >= 0 {
		path = append(path, fmt.Sprintf("data_points[%d]", p.point))
	}
	if leaf != "" {
		path = append(path, leaf)
	}
	e.err = &AppendError{Path: strings.Join(path, "."), Metric: name, Err: err}
}

func (e *encoder) resourceMetrics() {
	m := e.open(resourceMetricsResource, middle)
	set := e.rm.Resource.Set()
	e.attributes(resourceAttributes, set, "resource.attributes")
	e.close(m)
	for i := range e.rm.ScopeMetrics {
		e.place.scope = i
		e.scopeMetrics(&e.rm.ScopeMetrics[i])
	}
	e.place = nowhere
	e.text(resourceMetricsSchemaURL, e.rm.Resource.SchemaURL(), "schema_url")
}

func (e *encoder) scopeMetrics(sm *metricdata.ScopeMetrics) {
	m := e.open(resourceMetricsScopes, wide)
	e.scope(&sm.Scope)
	for i := range sm.Metrics {
		if e.err != nil {
			return
		}
		e.place.metric = i
		e.metric(&sm.Metrics[i])
	}
	e.place.metric = -1
	e.text(scopeMetricsSchemaURL, sm.Scope.SchemaURL, "schema_url")
	e.close(m)
}

func (e *encoder) scope(s *instrumentation.Scope) {
	m := e.open(scopeMetricsScope, narrow)
	e.text(scopeName, s.Name, "scope.name")
	e.text(scopeVersion, s.Version, "scope.version")
	e.attributes(scopeAttributes, &s.Attributes, "scope.attributes")
	e.close(m)
}

func (e *encoder) metric(metric *metricdata.Metrics) {
	m := e.open(scopeMetricsMetrics, wide)
	e.text(metricName, metric.Name, "name")
	e.text(metricDescription, metric.Description, "description")
	e.text(metricUnit, metric.Unit, "unit")
	e.data(metric.Data)
	e.close(m)
	e.place.data, e.place.point = "", -1
}

// data is the one place that tells the kinds of aggregation apart.
func (e *encoder) data(data metricdata.Aggregation) {
	switch a := data.(type) {
	case metricdata.Gauge[int64]:
		appendData(e, metricGauge, a.DataPoints, appendNumber)
	case metricdata.Gauge[float64]:
		appendData(e, metricGauge, a.DataPoints, appendNumber)
	case metricdata.Sum[int64]:
		appendData(e, metricSum, a.DataPoints, appendNumber, header{a.Temporality, a.IsMonotonic})
	case metricdata.Sum[float64]:
		appendData(e, metricSum, a.DataPoints, appendNumber, header{a.Temporality, a.IsMonotonic})
	case metricdata.Histogram[int64]:
		appendData(e, metricHistogram, a.DataPoints, appendHistogram, header{temporality: a.Temporality})
	case metricdata.Histogram[float64]:
		appendData(e, metricHistogram, a.DataPoints, appendHistogram, header{temporality: a.Temporality})
	case metricdata.ExponentialHistogram[int64]:
		appendData(e, metricExponential, a.DataPoints, appendExponential, header{temporality: a.Temporality})
	case metricdata.ExponentialHistogram[float64]:
		appendData(e, metricExponential, a.DataPoints, appendExponential, header{temporality: a.Temporality})
	case metricdata.Summary:
		appendData(e, metricSummary, a.DataPoints, appendSummary)
	case nil: // a metric without data is one in OTLP, too
	default:
		e.fail(fmt.Errorf("%w: %T", ErrAggregation, data), "")
	}
}

// A header is what an aggregation says of all its points.
type header struct {
	temporality metricdata.Temporality
	monotonic   bool
}

// appendData writes an aggregation: its points, each with point, and its header
// if it has one.
func appendData[P any](e *encoder, num protowire.Number, points []P, point func(*encoder, *P), headers ...header) {
	e.place.data = metricSchema[num].name
	m := e.open(num, wide)
	for i := range points {
		if e.err != nil {
			return
		}
		e.place.point = i
		point(e, &points[i])
	}
	e.place.point = -1
	for _, h := range headers {
		e.varint(dataTemporality, e.temporality(h.temporality))
		if h.monotonic {
			e.varint(dataMonotonic, 1)
		}
	}
	e.close(m)
}

func (e *encoder) temporality(t metricdata.Temporality) uint64 {
	switch t {
	case metricdata.DeltaTemporality:
		return temporalityDelta
	case metricdata.CumulativeTemporality:
		return temporalityCumulative
	case 0:
	default:
		e.fail(fmt.Errorf("%w %d", ErrTemporality, t), "aggregation_temporality")
	}
	return temporalityUnspecified
}

func (e *encoder) text(num protowire.Number, s, leaf string) {
	if s == "" {
		return
	}
	if !utf8.ValidString(s) {
		e.fail(fmt.Errorf("%w: %q", ErrUTF8, s), leaf)
	}
	e.alwaysString(num, s)
}

func (e *encoder) times(start, end time.Time) {
	e.time(pointStart, start, "start_time_unix_nano")
	e.time(pointTime, end, "time_unix_nano")
}

func (e *encoder) time(num protowire.Number, t time.Time, leaf string) {
	ns, ok := unixNano(t)
	if !ok {
		e.fail(fmt.Errorf("%w: %v", ErrTime, t), leaf)
	}
	e.fixed64(num, ns)
}

// A number is what the values of a metric are.
type number interface{ int64 | float64 }

// appendValue writes the oneof of a double and an int in their fields.
func appendValue[N number](e *encoder, double, integer protowire.Number, v N) {
	switch v := any(v).(type) {
	case int64:
		e.alwaysFixed64(integer, uint64(v))
	case float64:
		e.alwaysFixed64(double, math.Float64bits(v))
	}
}
