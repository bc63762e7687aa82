package otlptest

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Meaning writes down what a collection says in words of OTLP, to the last bit,
// and without what OTLP does not tell apart: nil and empty slices, histograms
// of int64 and of float64, typed and untyped lists of attributes, locations of
// times. It does not know the fields of metricdata, so that one which a later
// SDK adds is compared at once.
func Meaning(rm *metricdata.ResourceMetrics) string {
	m := meaner{}
	m.write("", reflect.ValueOf(rm).Elem())
	return m.String()
}

type meaner struct {
	strings.Builder
	floats bool // inside a histogram, where int64 is written as float64
}

func (m *meaner) line(path, format string, args ...any) {
	fmt.Fprintf(m, "%s: %s\n", path, fmt.Sprintf(format, args...))
}

func (m *meaner) write(path string, v reflect.Value) {
	switch x := v.Interface().(type) {
	case *resource.Resource:
		m.line(path, "%s %s", x.SchemaURL(), attributes(x.Attributes()))
	case attribute.Set:
		m.line(path, "%s", attributes(x.ToSlice()))
	case []attribute.KeyValue:
		m.line(path, "%s", attributes(x))
	case time.Time:
		m.line(path, "%s", instant(x))
	case metricdata.Extrema[int64]:
		value, defined := x.Value()
		m.line(path, "%v %s", defined, float(float64(value)))
	case metricdata.Extrema[float64]:
		value, defined := x.Value()
		m.line(path, "%v %s", defined, float(value))
	case metricdata.Aggregation:
		m.aggregation(path, v)
	case float64:
		m.line(path, "%s", float(x))
	case int64:
		if m.floats {
			m.line(path, "%s", float(float64(x)))
			return
		}
		m.line(path, "%d", x)
	default:
		m.fields(path, v)
	}
}

func (m *meaner) aggregation(path string, v reflect.Value) {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	name := v.Type().Name()
	m.floats = strings.Contains(name, "Histogram")
	if m.floats {
		name = strings.Replace(name, "[int64]", "[float64]", 1)
	}
	m.line(path, "%s", name)
	m.fields(path, v)
	m.floats = false
}

func (m *meaner) fields(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			m.write(path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			m.write(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	default:
		m.line(path, "%#v", v.Interface())
	}
}

func attributes(kvs []attribute.KeyValue) string {
	var all []string
	for _, kv := range kvs {
		all = append(all, fmt.Sprintf("%q=%s", string(kv.Key), value(kv.Value)))
	}
	return "{" + strings.Join(all, ", ") + "}"
}

func value(v attribute.Value) string {
	switch v.Type() {
	case attribute.FLOAT64:
		return float(v.AsFloat64())
	case attribute.MAP:
		return attributes(v.AsMap())
	case attribute.BYTESLICE:
		return fmt.Sprintf("bytes %q", v.AsByteSlice())
	case attribute.SLICE:
		return list(v.AsSlice(), value)
	case attribute.BOOLSLICE:
		return list(v.AsBoolSlice(), func(b bool) string { return fmt.Sprint(b) })
	case attribute.INT64SLICE:
		return list(v.AsInt64Slice(), func(i int64) string { return fmt.Sprint(i) })
	case attribute.FLOAT64SLICE:
		return list(v.AsFloat64Slice(), float)
	case attribute.STRINGSLICE:
		return list(v.AsStringSlice(), func(s string) string { return fmt.Sprintf("%q", s) })
	default:
		return fmt.Sprintf("%#v", v.AsInterface())
	}
}

func list[T any](elements []T, text func(T) string) string {
	var all []string
	for _, element := range elements {
		all = append(all, text(element))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func float(f float64) string { return fmt.Sprintf("%v (%x)", f, math.Float64bits(f)) }

func instant(t time.Time) string {
	if t.IsZero() || t.Equal(time.Unix(0, 0)) {
		return "no time"
	}
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}
