package otlp_test

import (
	"bytes"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// What tests build messages from that nobody in their right mind would send.

func join(fields ...[]byte) []byte { return bytes.Join(fields, nil) }

// message returns the field num with a message of the fields.
func message(num protowire.Number, fields ...[]byte) []byte {
	return bytesField(num, join(fields...))
}

func bytesField(num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

func text(num protowire.Number, s string) []byte { return bytesField(num, []byte(s)) }

func varint(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

func fixed64(num protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), v)
}

func double(num protowire.Number, v float64) []byte { return fixed64(num, math.Float64bits(v)) }

func fixed32(num protowire.Number, v uint32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(nil, num, protowire.Fixed32Type), v)
}

func group(num protowire.Number, fields ...[]byte) []byte {
	return protowire.AppendGroup(protowire.AppendTag(nil, num, protowire.StartGroupType), num, join(fields...))
}

// oneMetric returns a collection of one metric of the fields.
func oneMetric(fields ...[]byte) []byte { return message(2, message(2, fields...)) }

// The number of the fields in Metric.
const (
	gaugeField       = 5
	sumField         = 7
	histogramField   = 9
	exponentialField = 10
	summaryField     = 11
)

// point returns a collection of one metric of one point of the fields.
func point(kind protowire.Number, fields ...[]byte) []byte {
	return oneMetric(message(kind, message(1, fields...)))
}

// attributeOf returns a collection with the resource attribute that has, in its
// AnyValue, the fields.
func attributeOf(fields ...[]byte) []byte {
	return message(1, message(1, text(1, "key"), message(2, fields...)))
}

// nested returns the fields of an AnyValue of arrays or maps in each other.
func nested(depth int, maps bool) []byte {
	var value []byte
	for range depth {
		if maps {
			value = message(6, message(1, text(1, "k"), message(2, value)))
		} else {
			value = message(5, message(1, value))
		}
	}
	return value
}

// bombs returns inputs of about n bytes that want to be much in memory.
func bombs(n int) map[string][]byte {
	repeat := func(field []byte) []byte { return bytes.Repeat(field, n/len(field)) }
	histogram := func(counts int) []byte { return message(1, bytesField(6, make([]byte, 8*counts))) }
	return map[string][]byte{
		"scopes":                repeat(message(2)),
		"metrics":               message(2, repeat(message(2))),
		"metrics with gauges":   message(2, repeat(message(2, message(5)))),
		"numbers":               oneMetric(message(sumField, repeat(message(1, fixed64(6, 1))))),
		"numbers, then a float": oneMetric(message(sumField, repeat(message(1, fixed64(6, 1))), message(1, fixed64(4, 1)))),
		"histograms":            oneMetric(message(histogramField, repeat(message(1)))),
		"exponentials":          oneMetric(message(exponentialField, repeat(message(1)))),
		"summaries":             oneMetric(message(summaryField, repeat(message(1)))),
		"quantiles":             point(summaryField, repeat(message(6))),
		"exemplars":             point(histogramField, repeat(message(8, fixed64(6, 1)))),
		"exemplar attributes":   point(histogramField, message(8, fixed64(6, 1), repeat(message(7)))),
		"attributes":            point(histogramField, repeat(message(9))),
		"unlike attributes":     point(histogramField, unlike(9, n)),
		"resource attributes":   message(1, repeat(message(1))),
		"unlike resource":       message(1, unlike(1, n)),
		"scope attributes":      message(2, message(1, unlike(3, n))),
		"array":                 attributeOf(message(5, repeat(message(1)))),
		"array of bools":        attributeOf(message(5, repeat(message(1, varint(2, 1))))),
		"array of strings":      attributeOf(message(5, repeat(message(1, text(1, "a"))))),
		"map":                   attributeOf(message(6, repeat(message(1)))),
		"map of maps":           attributeOf(message(6, repeat(message(1, message(2, message(6)))))),
		"arrays in arrays":      attributeOf(message(5, repeat(message(1, nested(20, false))))),
		"bounds one by one":     point(histogramField, repeat(double(7, 1))),
		"counts one by one":     point(histogramField, repeat(fixed64(6, 1))),
		"varints":               point(exponentialField, message(8, bytesField(2, make([]byte, n)))),
		"varints one by one":    point(exponentialField, message(8, repeat(varint(2, 1)))),
		"buckets in parts":      point(exponentialField, repeat(message(8, bytesField(2, make([]byte, 3))))),
		"a resource in parts":   repeat(message(1, message(1, text(1, "k")))),
		"parts in parts":        parts(n),
		"a large histogram before small ones": oneMetric(message(histogramField,
			histogram(n/16), bytes.Repeat(histogram(0), n/8))),
		"growing histograms": oneMetric(message(histogramField, growing(n))),
		"deep groups":        bytes.Repeat(protowire.AppendTag(nil, 100, protowire.StartGroupType), n/2),
	}
}

// unlike returns attributes with different keys.
func unlike(num protowire.Number, n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = append(b, message(num, text(1, string(rune(i+1))))...)
	}
	return b
}

// parts returns an attribute that is in two parts on every level.
func parts(n int) []byte {
	value := message(5, bytes.Repeat(message(1), n/2))
	for range 25 {
		value = join(message(5), message(5, message(1, value)))
	}
	return message(1, message(1, message(2), message(2, value)))
}

func growing(n int) []byte {
	var b []byte
	for i := 1; len(b) < n; i++ {
		b = append(b, message(1, bytesField(6, make([]byte, 8*i)))...)
	}
	return b
}
