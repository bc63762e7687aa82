package otlp_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/internal/otlptest"
	"github.com/asyncmetric/asyncmetric/otlp"
)

func TestErrorsSayWhere(t *testing.T) {
	const dataPoint = "scope_metrics[0].metrics[0].sum.data_points[1]"
	value := fixed64(6, 7)
	second := func(fields ...[]byte) []byte {
		return join(message(1, text(1, "a resource")), oneMetric(text(1, "a name"),
			message(sumField, message(1, value), message(1, fields...))))
	}
	for _, c := range []struct {
		name  string
		input []byte
		bad   []byte // where in the input it is
		path  string
		err   string
	}{
		{"cut off", []byte{0x12, 5, 1}, []byte{0x12, 5}, "scope_metrics", "unexpected EOF"},
		{"half a tag", []byte{0x1a, 0, 0x80}, []byte{0x80}, "", "unexpected EOF"},
		{"field zero", second(value, []byte{0, 0}), []byte{0, 0}, dataPoint, "invalid field number"},
		{"field too large", second(value, varint(1<<29, 1)), varint(1<<29, 1), dataPoint, "invalid field number"},
		{"end of no group", second(value, []byte{0x0c}), []byte{0x0c}, dataPoint, "mismatching end group marker"},
		{"reserved wire type", second(value, []byte{0xff, 0x01}), []byte{0xff, 0x01}, dataPoint, "reserved wire type"},
		{"endless varint", second(value, bytes.Repeat([]byte{0x81}, 11)), bytes.Repeat([]byte{0x81}, 11), dataPoint, "overflow"},
		{"other wire type", second(value, varint(3, 99)), varint(3, 99), dataPoint + ".time_unix_nano", "wire type 0 instead of 1"},
		{"message as a number", second(value, varint(7, 99)), varint(7, 99), dataPoint + ".attributes", "wire type 0 instead of 2"},
		{"group as a message", second(value, group(7)), group(7), dataPoint + ".attributes", "wire type 3 instead of 2"},
		{"other wire type, packed", point(histogramField, varint(6, 99)), varint(6, 99),
			"scope_metrics[0].metrics[0].histogram.data_points[0].bucket_counts", "wire type 0 instead of 2"},
		{"no value", second(fixed64(2, 77)), fixed64(2, 77), dataPoint, "no value"},
		{"no recorded value", second(varint(8, 3)), varint(8, 3), dataPoint + ".flags", "no recorded value"},
		{"exemplar without a value", second(value, message(5), message(5, fixed64(2, 77))), []byte(nil),
			dataPoint + ".exemplars[0]", "no value"},
		{"integer that float64 does not have", second(join(fixed64(3, 77), fixed64(6, 1<<53+1)), message(5, double(3, 1))),
			fixed64(6, 1<<53+1), dataPoint + ".as_int", "9007199254740993"},
		{"largest integer", second(fixed64(6, 1<<63-1), message(5, double(3, 1))), fixed64(6, 1<<63-1), dataPoint + ".as_int", "9223372036854775807"},
		{"name", oneMetric(text(1, "\xff")), text(1, "\xff"), "scope_metrics[0].metrics[0].name", "invalid UTF-8"},
		{"temporality", oneMetric(message(sumField, varint(2, 3))), varint(2, 3),
			"scope_metrics[0].metrics[0].sum.aggregation_temporality", "unknown temporality 3"},
		{"scope", message(2, message(1, text(1, "\xff"))), text(1, "\xff"), "scope_metrics[0].scope.name", "invalid UTF-8"},
		{"bounds", point(histogramField, bytesField(7, make([]byte, 12))), bytesField(7, make([]byte, 12)),
			"scope_metrics[0].metrics[0].histogram.data_points[0].explicit_bounds", "multiple of 8"},
		{"buckets", point(exponentialField, message(9, bytesField(2, []byte{1, 0x80}))), bytesField(2, []byte{1, 0x80}),
			"scope_metrics[0].metrics[0].exponential_histogram.data_points[0].negative.bucket_counts", "unexpected EOF"},
		{"quantile", point(summaryField, message(6), message(6, varint(1, 99))), varint(1, 99),
			"scope_metrics[0].metrics[0].summary.data_points[0].quantile_values[1].quantile", "wire type 0 instead of 1"},
		{"string in an array", attributeOf(message(5, message(1, text(1, "good")), message(1, text(1, "\xff")))), text(1, "\xff"),
			"resource.attributes[0].value.array_value.values[1].string_value", "invalid UTF-8"},
		{"key in a map", attributeOf(message(6, message(1, text(1, "\xff")))), text(1, "\xff"),
			"resource.attributes[0].value.kvlist_value.values[0].key", "invalid UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rm, err := otlp.Decode(c.input)
			assert.Nil(t, rm)
			var damage *otlp.DecodeError
			require.ErrorAs(t, err, &damage)
			assert.Equal(t, c.path, damage.Path)
			assert.ErrorContains(t, err, c.err)
			assert.ErrorContains(t, err, c.path)
			if c.bad != nil {
				assert.Equal(t, bytes.LastIndex(c.input, c.bad), damage.Offset)
			}
		})
	}
}

func TestErrorsCanBeTold(t *testing.T) {
	record := encoded(t, metrictest.Mixed(3))
	_, err := otlp.Decode(record[:len(record)-1])
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = otlp.Decode(oneMetric(text(1, "\xff")))
	assert.ErrorIs(t, err, otlp.ErrUTF8)
	_, err = otlp.Decode(oneMetric(message(sumField, varint(2, 3))))
	assert.ErrorIs(t, err, otlp.ErrTemporality)
}

func TestDepthIsLimited(t *testing.T) {
	for _, maps := range []bool{false, true} {
		deepest, err := otlp.Decode(attributeOf(nested(otlp.MaxDepth, maps)))
		require.NoError(t, err)
		recoded(t, deepest)

		_, err = otlp.Decode(attributeOf(nested(otlp.MaxDepth+1, maps)))
		assert.ErrorIs(t, err, otlp.ErrDepth)
		_, err = otlp.Decode(attributeOf(nested(1000, maps)))
		assert.ErrorIs(t, err, otlp.ErrDepth)
	}
}

func TestATruncatedRecordIsAnErrorOrAShorterOne(t *testing.T) {
	rm := metrictest.EveryKind(1)
	record := encoded(t, rm)
	for n := range record {
		got, err := otlp.Decode(slices.Clone(record[:n]))
		if err != nil {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", n)
			continue
		}
		require.Less(t, len(got.ScopeMetrics), len(rm.ScopeMetrics), "%d bytes", n)
	}
}

func TestAFlippedBitDoesNoHarm(t *testing.T) {
	every := metrictest.EveryKind(1)
	scope := every.ScopeMetrics[1]
	for _, m := range append(scope.Metrics, otlptest.Oddities().ScopeMetrics[0].Metrics...) {
		every.ScopeMetrics = []metricdata.ScopeMetrics{{Scope: scope.Scope, Metrics: []metricdata.Metrics{m}}}
		t.Run(m.Name, func(t *testing.T) { flipEveryBit(t, encoded(t, every)) })
	}
}

func flipEveryBit(t *testing.T, record []byte) {
	refused := 0
	for bit := range 8 * len(record) {
		record[bit/8] ^= 1 << (bit % 8)
		got, err := otlp.Decode(record)
		var damage *otlp.DecodeError
		switch {
		case err == nil:
			again := encoded(t, got)
			require.Equal(t, again, encoded(t, decoded(t, again)), "bit %d", bit)
		case errors.As(err, &damage):
			refused++
			require.LessOrEqual(t, damage.Offset, len(record))
		default:
			require.Fail(t, "an error of another kind", "bit %d: %v", bit, err)
		}
		record[bit/8] ^= 1 << (bit % 8)
	}
	t.Logf("%d of %d flips are errors", refused, 8*len(record))
	assert.NotZero(t, refused)
}
