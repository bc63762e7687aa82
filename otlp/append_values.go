package otlp

import (
	"fmt"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/encoding/protowire"
)

// MaxDepth is how deep arrays and maps in an attribute may be nested: a list of
// numbers is of depth 1, a map that has one is of depth 2. With it, no record
// has more than the 100 messages inside each other that implementations of
// protobuf in other languages read.
const MaxDepth = 30

func (e *encoder) attributes(num protowire.Number, set *attribute.Set, leaf string) {
	for i := range set.Len() {
		kv, _ := set.Get(i)
		e.keyValue(num, &kv, 0, leaf)
	}
}

// keyValue writes an attribute. Depth is how many arrays and maps it is in, and
// leaf says where it belongs.
func (e *encoder) keyValue(num protowire.Number, kv *attribute.KeyValue, depth int, leaf string) {
	m := e.open(num, narrow)
	e.text(keyValueKey, string(kv.Key), leaf)
	e.value(keyValueValue, &kv.Value, depth, leaf)
	e.close(m)
}

// value writes an AnyValue, in the field num.
func (e *encoder) value(num protowire.Number, v *attribute.Value, depth int, leaf string) {
	m := e.open(num, narrow)
	switch v.Type() {
	case attribute.EMPTY:
	case attribute.BOOL:
		e.anyBool(v.AsBool())
	case attribute.INT64:
		e.anyInt(v.AsInt64())
	case attribute.FLOAT64:
		e.alwaysDouble(anyDouble, v.AsFloat64())
	case attribute.STRING:
		e.anyString(v.AsString())
	case attribute.BYTESLICE:
		e.b = appendTag(e.b, anyBytes, protowire.BytesType)
		e.b = protowire.AppendBytes(e.b, v.AsByteSlice())
	default:
		e.list(v, depth+1, leaf)
	}
	e.close(m)
}

func (e *encoder) anyBool(v bool) { e.alwaysVarint(anyBool, protowire.EncodeBool(v)) }

func (e *encoder) anyInt(v int64) { e.alwaysVarint(anyInt, uint64(v)) }

// anyString writes s as the specification of OpenTelemetry wants it, in
// "Mapping Arbitrary Data to OTLP AnyValue": as bytes if it is not valid UTF-8.
func (e *encoder) anyString(s string) {
	if utf8.ValidString(s) {
		e.alwaysString(anyString, s)
		return
	}
	_ = e.isInvalid(ErrUTF8)
	e.alwaysString(anyBytes, s)
}

// list writes a value that has others in it.
func (e *encoder) list(v *attribute.Value, depth int, leaf string) {
	if depth > MaxDepth {
		e.fail(ErrDepth, leaf)
		return
	}
	if v.Type() == attribute.MAP {
		m := e.open(anyMap, narrow)
		for _, kv := range v.AsMap() {
			e.keyValue(listValues, &kv, depth, leaf)
		}
		e.close(m)
		return
	}
	m := e.open(anyArray, narrow)
	switch v.Type() {
	case attribute.SLICE:
		for _, element := range v.AsSlice() {
			e.value(listValues, &element, depth, leaf)
		}
	case attribute.BOOLSLICE:
		appendElements(e, v.AsBoolSlice(), (*encoder).anyBool)
	case attribute.INT64SLICE:
		appendElements(e, v.AsInt64Slice(), (*encoder).anyInt)
	case attribute.FLOAT64SLICE:
		appendElements(e, v.AsFloat64Slice(), func(e *encoder, f float64) { e.alwaysDouble(anyDouble, f) })
	case attribute.STRINGSLICE:
		appendElements(e, v.AsStringSlice(), (*encoder).anyString)
	default:
		e.fail(fmt.Errorf("unknown type of attribute: %v", v.Type()), leaf)
	}
	e.close(m)
}

// appendElements writes the elements of a list, each with write.
func appendElements[T any](e *encoder, elements []T, write func(*encoder, T)) {
	for _, element := range elements {
		m := e.open(listValues, narrow)
		write(e, element)
		e.close(m)
	}
}
