package otlptest

import (
	"math"
	"reflect"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"pgregory.net/rapid"
)

// The types of aggregation that the SDK has.
var knownKinds = []reflect.Type{
	reflect.TypeFor[metricdata.Gauge[int64]](),
	reflect.TypeFor[metricdata.Gauge[float64]](),
	reflect.TypeFor[metricdata.Sum[int64]](),
	reflect.TypeFor[metricdata.Sum[float64]](),
	reflect.TypeFor[metricdata.Histogram[int64]](),
	reflect.TypeFor[metricdata.Histogram[float64]](),
	reflect.TypeFor[metricdata.ExponentialHistogram[int64]](),
	reflect.TypeFor[metricdata.ExponentialHistogram[float64]](),
	reflect.TypeFor[metricdata.Summary](),
}

// Collection draws a collection that OTLP can express.
func Collection(t *rapid.T) *metricdata.ResourceMetrics {
	return drawer{t: t}.collection()
}

// Exportable draws a collection that otlpmetrichttp sends: without what it
// refuses, and without times that int64 does not have.
func Exportable(t *rapid.T) *metricdata.ResourceMetrics {
	return drawer{t: t, exportable: true}.collection()
}

// A drawer fills values by reflection. It does not know their fields, so that
// one which a later SDK adds takes part in all tests at once.
type drawer struct {
	t          *rapid.T
	exportable bool
}

func (d drawer) collection() *metricdata.ResourceMetrics {
	rm := &metricdata.ResourceMetrics{}
	d.fill(reflect.ValueOf(rm).Elem())
	return rm
}

var (
	floats = rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{
		0, math.Copysign(0, -1), 1, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64,
		math.SmallestNonzeroFloat64, math.Float64frombits(0x7ff8dead0000beef),
	}))
	integers  = rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, 1, -1, math.MinInt64, math.MaxInt64, 1<<53 + 1}))
	naturals  = rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, math.MaxUint64, 1 << 63}))
	shorts    = rapid.OneOf(rapid.Int32(), rapid.SampledFrom([]int32{0, -1, math.MinInt32, math.MaxInt32}))
	instants  = rapid.Custom(drawInstant)
	values    = rapid.Custom(func(t *rapid.T) attribute.Value { return drawValue(t, 3) })
	keyValues = rapid.Custom(func(t *rapid.T) attribute.KeyValue {
		return attribute.KeyValue{Key: attribute.Key(rapid.StringN(0, 4, -1).Draw(t, "key")), Value: values.Draw(t, "value")}
	})
	manyKeyValues = rapid.SliceOfN(keyValues, 0, 12)
)

// drawInstant draws a time that OTLP has, in any location.
func drawInstant(t *rapid.T) time.Time {
	ns := naturals.Draw(t, "nanoseconds")
	if ns == 0 {
		return time.Time{}
	}
	at := time.Unix(int64(ns/1e9), int64(ns%1e9))
	if rapid.Bool().Draw(t, "elsewhere") {
		return at.In(time.FixedZone("elsewhere", 3600))
	}
	return at
}

func drawValue(t *rapid.T, depth int) attribute.Value {
	last := attribute.MAP
	if depth == 0 {
		last = attribute.BYTESLICE
	}
	switch kind := attribute.Type(rapid.IntRange(0, int(last)).Draw(t, "type")); kind {
	case attribute.EMPTY:
		return attribute.Value{}
	case attribute.BOOL:
		return attribute.BoolValue(rapid.Bool().Draw(t, "bool"))
	case attribute.INT64:
		return attribute.Int64Value(integers.Draw(t, "int"))
	case attribute.FLOAT64:
		return attribute.Float64Value(floats.Draw(t, "float"))
	case attribute.STRING:
		return attribute.StringValue(rapid.String().Draw(t, "string"))
	case attribute.BOOLSLICE:
		return attribute.BoolSliceValue(rapid.SliceOfN(rapid.Bool(), 0, 5).Draw(t, "bools"))
	case attribute.INT64SLICE:
		return attribute.Int64SliceValue(rapid.SliceOfN(integers, 0, 5).Draw(t, "ints"))
	case attribute.FLOAT64SLICE:
		return attribute.Float64SliceValue(rapid.SliceOfN(floats, 0, 5).Draw(t, "floats"))
	case attribute.STRINGSLICE:
		return attribute.StringSliceValue(rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, "strings"))
	case attribute.BYTESLICE:
		return attribute.ByteSliceValue(rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "bytes"))
	case attribute.SLICE:
		deeper := rapid.Custom(func(t *rapid.T) attribute.Value { return drawValue(t, depth-1) })
		return attribute.SliceValue(rapid.SliceOfN(deeper, 0, 7).Draw(t, "slice")...)
	case attribute.MAP:
		deeper := rapid.Custom(func(t *rapid.T) attribute.KeyValue {
			return attribute.KeyValue{Key: attribute.Key(rapid.StringN(0, 4, -1).Draw(t, "key")), Value: drawValue(t, depth-1)}
		})
		return attribute.MapValue(rapid.SliceOfN(deeper, 0, 7).Draw(t, "map")...)
	default:
		panic("otlptest: no way to draw a " + kind.String())
	}
}

func (d drawer) fill(v reflect.Value) {
	t := d.t
	switch to := v.Addr().Interface().(type) {
	case **resource.Resource:
		*to = resource.NewWithAttributes(rapid.String().Draw(t, "schema"), manyKeyValues.Draw(t, "resource")...)
	case *metricdata.Aggregation:
		*to = d.aggregation()
	case *time.Time:
		*to = instants.Draw(t, "time")
		if d.exportable && to.Unix() > math.MaxInt64/int64(time.Second)-1 {
			*to = time.Time{}
		}
	case *attribute.Set:
		*to = attribute.NewSet(manyKeyValues.Draw(t, "attributes")...)
	case *[]attribute.KeyValue:
		*to = manyKeyValues.Draw(t, "attributes")
	case *metricdata.Temporality:
		*to = metricdata.Temporality(rapid.IntRange(d.least(), 2).Draw(t, "temporality"))
	case *metricdata.Extrema[int64]:
		if rapid.Bool().Draw(t, "defined") {
			*to = metricdata.NewExtrema(integers.Draw(t, "extremum"))
		}
	case *metricdata.Extrema[float64]:
		if rapid.Bool().Draw(t, "defined") {
			*to = metricdata.NewExtrema(floats.Draw(t, "extremum"))
		}
	default:
		d.fillKind(v)
	}
}

func (d drawer) fillKind(v reflect.Value) {
	t := d.t
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			d.fill(v.Field(i))
		}
	case reflect.Slice:
		n := rapid.IntRange(-1, 3).Draw(t, "length")
		if n < 0 {
			return // nil
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			d.fill(v.Index(i))
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "string"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Float64:
		v.SetFloat(floats.Draw(t, "float"))
	case reflect.Int64:
		v.SetInt(integers.Draw(t, "int"))
	case reflect.Int32:
		v.SetInt(int64(shorts.Draw(t, "int32")))
	case reflect.Uint64:
		v.SetUint(naturals.Draw(t, "uint"))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
	default:
		panic("otlptest: no way to draw a " + v.Type().String())
	}
}

// least returns 0 if nothing may be drawn where the exporter needs something.
func (d drawer) least() int {
	if d.exportable {
		return 1
	}
	return 0
}

// aggregation draws one of a known kind, or none.
func (d drawer) aggregation() metricdata.Aggregation {
	kind := rapid.IntRange(d.least(), len(knownKinds)).Draw(d.t, "kind")
	if kind == 0 {
		return nil
	}
	v := reflect.New(knownKinds[kind-1]).Elem()
	d.fill(v)
	// Without points, OTLP does not say of which numbers the metric is.
	if points := v.FieldByName("DataPoints"); points.Len() == 0 {
		points.Set(reflect.MakeSlice(points.Type(), 1, 1))
	}
	return v.Interface().(metricdata.Aggregation)
}
