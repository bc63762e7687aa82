package otlp

import (
	"errors"
	"fmt"
	"math"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/encoding/protowire"
)

var (
	// errDouble stops the decoding of a metric as one of integers.
	errDouble = errors.New("a double among integers")

	errNoValue    = errors.New("no value")
	errNoRecorded = errors.New("the flag for no recorded value has no equivalent in metricdata")
)

// decodeNumbers decodes a Gauge or a Sum. In OTLP every point of it says
// whether it is an int or a double, in metricdata the metric does: it is one of
// float64 if any of them is a double.
func decodeNumbers(
	d *decoder, r reader,
	ints func(header, []metricdata.DataPoint[int64]) metricdata.Aggregation,
	floats func(header, []metricdata.DataPoint[float64]) metricdata.Aggregation,
) (metricdata.Aggregation, *DecodeError) {
	if !beginsWithDouble(r) {
		data, err := decodeData(d, r, &numberSchema, decodeNumber[int64], ints)
		if err == nil || err.Err != errDouble {
			return data, err
		}
	}
	return decodeData(d, r, &numberSchema, decodeNumber[float64], floats)
}

// beginsWithDouble reports whether the first of the points is a double.
func beginsWithDouble(r reader) bool {
	for r.next() {
		if r.num != dataPoints {
			continue
		}
		double := false
		for point := r.sub(&numberSchema); point.next(); {
			switch point.num {
			case numberDouble:
				double = true
			case numberInt:
				double = false
			}
		}
		return double
	}
	return false
}

func decodeNumber[N number](d *decoder, r reader, p *metricdata.DataPoint[N]) *DecodeError {
	var v value
	d.attrs = d.attrs[:0]
	for r.next() {
		switch r.num {
		case pointStart:
			p.StartTime = fromUnixNano(r.val)
		case pointTime:
			p.Time = fromUnixNano(r.val)
		case numberDouble, numberInt:
			v.set(&r, numberDouble)
		case numberExemplars:
			decodeExemplar(d, &r, &p.Exemplars)
		case numberAttributes:
			d.attribute(&r)
		case numberFlags:
			checkFlags(&r)
		}
	}
	if r.err != nil {
		return r.err
	}
	p.Attributes = attribute.NewSet(d.attrs...)
	var err error
	if p.Value, err = exactly[N](v); err != nil {
		return &DecodeError{Offset: r.base + v.at, Path: v.name, Err: err}
	}
	return nil
}

// checkFlags fails if a point has no value on purpose: to read it as zero would
// be wrong.
func checkFlags(r *reader) {
	if r.val&flagNoRecordedValue != 0 {
		r.fail(errNoRecorded)
	}
}

// A value is what a oneof of an int and a double holds.
type value struct {
	bits   uint64
	double bool
	name   string // of the field; empty if there is none
	at     int
}

// set takes the current field, the number of which is double if it is one.
func (v *value) set(r *reader, double protowire.Number) {
	*v = value{r.val, r.num == double, r.schema[r.num].name, r.at}
}

// exactly returns v, or an error if N does not have it.
func exactly[N number](v value) (N, error) {
	n, err := nearly[N](v)
	if f, ok := any(n).(float64); ok && err == nil && !v.double {
		// The float64 after MaxInt64 would overflow.
		if f >= 1<<63 || int64(f) != int64(v.bits) {
			return 0, fmt.Errorf("float64, which other points of the metric need, does not have the integer %d", int64(v.bits))
		}
	}
	return n, err
}

// nearly returns v, with an integer rounded if N is float64.
func nearly[N number](v value) (N, error) {
	var zero N
	_, integers := any(zero).(int64)
	switch {
	case v.name == "":
		return 0, errNoValue
	case !v.double:
		return N(int64(v.bits)), nil
	case integers:
		return 0, errDouble
	default:
		return N(math.Float64frombits(v.bits)), nil
	}
}

// decodeExemplar decodes the exemplar in the current field of r.
func decodeExemplar[N number](d *decoder, r *reader, exemplars *[]metricdata.Exemplar[N]) {
	if *exemplars == nil {
		*exemplars = make([]metricdata.Exemplar[N], 0, r.count())
	}
	i := len(*exemplars)
	*exemplars = (*exemplars)[:i+1]
	r.nestAt(exemplar(d, r.sub(&exemplarSchema), &(*exemplars)[i]), i)
}

func exemplar[N number](d *decoder, r reader, x *metricdata.Exemplar[N]) *DecodeError {
	var v value
	for r.next() {
		switch r.num {
		case exemplarTime:
			x.Time = fromUnixNano(r.val)
		case exemplarDouble, exemplarInt:
			v.set(&r, exemplarDouble)
		case exemplarSpanID:
			x.SpanID = append([]byte(nil), r.raw...)
		case exemplarTraceID:
			x.TraceID = append([]byte(nil), r.raw...)
		case exemplarAttributes:
			if x.FilteredAttributes == nil {
				x.FilteredAttributes = make([]attribute.KeyValue, 0, r.count())
			}
			i := len(x.FilteredAttributes)
			x.FilteredAttributes = x.FilteredAttributes[:i+1]
			r.nestAt(d.keyValue(r.sub(&keyValueSchema), 0, &x.FilteredAttributes[i]), i)
		}
	}
	if r.err != nil {
		return r.err
	}
	var err error
	if x.Value, err = nearly[N](v); err != nil {
		return &DecodeError{Offset: r.base + v.at, Path: v.name, Err: err}
	}
	return nil
}
