package otlp

import (
	"math"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/encoding/protowire"
)

// attribute adds the one in the current field of r to d.attrs.
func (d *decoder) attribute(r *reader) {
	i := len(d.attrs)
	if i == cap(d.attrs) {
		d.attrs = slices.Grow(d.attrs, r.count())
	}
	d.attrs = d.attrs[:i+1]
	r.nestAt(d.keyValue(r.sub(&keyValueSchema), 0, &d.attrs[i]), i)
}

// keyValue replaces kv. If a string in it is the same as before, it stays: the
// attributes of a point often look like those of the point before. Depth is how
// many arrays and maps the attribute is in.
func (d *decoder) keyValue(r reader, depth int, kv *attribute.KeyValue) *DecodeError {
	var key []byte
	var val part
	for r.next() {
		switch r.num {
		case keyValueKey:
			key = r.raw
		case keyValueValue:
			r.join(&val)
		}
	}
	if r.err != nil {
		return r.err
	}
	if string(kv.Key) != string(key) {
		kv.Key = attribute.Key(key)
	}
	if err := d.value(val.reader(&anySchema), depth, &kv.Value); err != nil {
		return err.within("value")
	}
	return nil
}

// value replaces v with an AnyValue.
func (d *decoder) value(r reader, depth int, v *attribute.Value) *DecodeError {
	var num protowire.Number // of the last field in the oneof
	var val uint64
	var raw []byte
	var list part
	for r.next() {
		if num != r.num {
			list = part{}
		}
		if r.num == anyArray || r.num == anyMap {
			r.join(&list)
		}
		num, val, raw = r.num, r.val, r.raw
	}
	if r.err != nil {
		return r.err
	}
	switch num {
	case anyString:
		if v.Type() != attribute.STRING || v.AsString() != string(raw) {
			*v = attribute.StringValue(string(raw))
		}
	case anyBool:
		*v = attribute.BoolValue(val != 0)
	case anyInt:
		*v = attribute.Int64Value(int64(val))
	case anyDouble:
		*v = attribute.Float64Value(math.Float64frombits(val))
	case anyBytes:
		*v = attribute.ByteSliceValue(raw)
	case anyArray, anyMap:
		return d.list(num, list, depth+1, v)
	default: // no value at all, or one for profiles
		*v = attribute.Value{}
	}
	return nil
}

// list replaces v with what an AnyValue has in its field num, which is at the
// given depth.
func (d *decoder) list(num protowire.Number, list part, depth int, v *attribute.Value) (err *DecodeError) {
	r := list.reader(&listSchema)
	switch {
	case depth > MaxDepth:
		err = &DecodeError{Offset: r.base, Err: ErrDepth}
	case num == anyMap:
		*v, err = d.mapValue(r, depth)
	default:
		*v, err = d.arrayValue(r, depth)
	}
	if err != nil {
		return err.within(anySchema[num].name)
	}
	return nil
}

func (d *decoder) mapValue(r reader, depth int) (attribute.Value, *DecodeError) {
	var kvs []attribute.KeyValue
	for r.next() {
		if kvs == nil {
			kvs = make([]attribute.KeyValue, 0, r.count())
		}
		i := len(kvs)
		kvs = kvs[:i+1]
		r.nestAt(d.keyValue(r.sub(&keyValueSchema), depth, &kvs[i]), i)
	}
	if r.err != nil {
		return attribute.Value{}, r.err
	}
	return attribute.MapValue(kvs...), nil
}

func (d *decoder) arrayValue(r reader, depth int) (attribute.Value, *DecodeError) {
	var values []attribute.Value
	for r.next() {
		if values == nil {
			values = make([]attribute.Value, 0, r.count())
		}
		i := len(values)
		values = values[:i+1]
		r.nestAt(d.value(r.sub(&anySchema), depth, &values[i]), i)
	}
	if r.err != nil {
		return attribute.Value{}, r.err
	}
	return sliceOf(values), nil
}

// sliceOf returns an attribute of the values: of a type for bools, integers,
// floats or strings only if they are of this type, all of them.
func sliceOf(values []attribute.Value) attribute.Value {
	if len(values) == 0 {
		return attribute.SliceValue()
	}
	for _, v := range values {
		if v.Type() != values[0].Type() {
			return attribute.SliceValue(values...)
		}
	}
	switch values[0].Type() {
	case attribute.BOOL:
		return attribute.BoolSliceValue(each(values, attribute.Value.AsBool))
	case attribute.INT64:
		return attribute.Int64SliceValue(each(values, attribute.Value.AsInt64))
	case attribute.FLOAT64:
		return attribute.Float64SliceValue(each(values, attribute.Value.AsFloat64))
	case attribute.STRING:
		return attribute.StringSliceValue(each(values, attribute.Value.AsString))
	default:
		return attribute.SliceValue(values...)
	}
}

func each[T any](values []attribute.Value, as func(attribute.Value) T) []T {
	all := make([]T, len(values))
	for i, v := range values {
		all[i] = as(v)
	}
	return all
}
