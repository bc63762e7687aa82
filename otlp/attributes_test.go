package otlp_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestAttributesComeBackAsTheirTypes(t *testing.T) {
	list := attribute.SliceValue
	for _, c := range []struct {
		name    string
		in, out attribute.Value
	}{
		{"empty", attribute.Value{}, attribute.Value{}},
		{"bool", attribute.BoolValue(false), attribute.BoolValue(false)},
		{"int", attribute.Int64Value(math.MinInt64), attribute.Int64Value(math.MinInt64)},
		{"float", attribute.Float64Value(math.Copysign(0, -1)), attribute.Float64Value(math.Copysign(0, -1))},
		{"string", attribute.StringValue(""), attribute.StringValue("")},
		{"bytes", attribute.ByteSliceValue([]byte{0xff}), attribute.ByteSliceValue([]byte{0xff})},
		{"no bytes", attribute.ByteSliceValue(nil), attribute.ByteSliceValue(nil)},
		{"bools", attribute.BoolSliceValue([]bool{true, false}), attribute.BoolSliceValue([]bool{true, false})},
		{"ints", attribute.IntSliceValue([]int{1, 2, 3, 4}), attribute.IntSliceValue([]int{1, 2, 3, 4})},
		{"floats", attribute.Float64SliceValue([]float64{1.5}), attribute.Float64SliceValue([]float64{1.5})},
		{"strings", attribute.StringSliceValue([]string{"a", ""}), attribute.StringSliceValue([]string{"a", ""})},
		{"mixed list", list(attribute.IntValue(1), attribute.StringValue("1")), list(attribute.IntValue(1), attribute.StringValue("1"))},
		{"list of lists", list(list(), list(attribute.Value{})), list(list(), list(attribute.Value{}))},
		{"map", attribute.MapValue(attribute.Int("b", 1), attribute.Int("a", 2), attribute.Int("b", 3)),
			attribute.MapValue(attribute.Int("a", 2), attribute.Int("b", 1), attribute.Int("b", 3))},
		{"no map", attribute.MapValue(), attribute.MapValue()},

		{"list of ints", list(attribute.IntValue(1), attribute.IntValue(2)), attribute.IntSliceValue([]int{1, 2})},
		{"list of strings in a map", attribute.MapValue(attribute.Slice("k", attribute.StringValue("s"))),
			attribute.MapValue(attribute.StringSlice("k", []string{"s"}))},
		{"no ints", attribute.IntSliceValue(nil), list()},
		{"no UTF-8", attribute.StringValue("a\xff"), attribute.ByteSliceValue([]byte("a\xff"))},
		{"some UTF-8", attribute.StringSliceValue([]string{"a", "\xff"}),
			list(attribute.StringValue("a"), attribute.ByteSliceValue([]byte("\xff")))},
	} {
		t.Run(c.name, func(t *testing.T) {
			kv := attribute.KeyValue{Key: "key", Value: c.in}
			rm := one(metricdata.Sum[int64]{DataPoints: []metricdata.DataPoint[int64]{{
				Attributes: attribute.NewSet(kv),
				Exemplars:  []metricdata.Exemplar[int64]{{FilteredAttributes: []attribute.KeyValue{kv}}},
			}}})
			rm.ScopeMetrics[0].Scope.Attributes = attribute.NewSet(kv)
			got := recoded(t, rm)

			want := attribute.KeyValue{Key: "key", Value: c.out}
			set := attribute.NewSet(want)
			p := dataOf(t, got).(metricdata.Sum[int64]).DataPoints[0]
			assert.Equal(t, []attribute.KeyValue{want}, p.Exemplars[0].FilteredAttributes)
			assert.True(t, set.Equals(&p.Attributes), "%v", p.Attributes.ToSlice())
			assert.True(t, set.Equals(&got.ScopeMetrics[0].Scope.Attributes))
		})
	}
}

// The attributes of one point are not those of the one before, nor is what is
// used again of them changed.
func TestPointsWithUnlikeAttributes(t *testing.T) {
	sets := []attribute.Set{
		attribute.NewSet(attribute.String("a", "1"), attribute.String("b", "2"), attribute.Bool("c", true)),
		attribute.NewSet(attribute.String("a", "1"), attribute.String("c", "2")),
		attribute.NewSet(),
		attribute.NewSet(attribute.Int("a", 1), attribute.String("b", "2"), attribute.Bool("c", false), attribute.Int("d", 1)),
		attribute.NewSet(attribute.ByteSlice("a", []byte("1")), attribute.StringSlice("b", []string{"2"})),
	}
	data := metricdata.Gauge[float64]{}
	for i := range 3 * len(sets) {
		data.DataPoints = append(data.DataPoints, metricdata.DataPoint[float64]{Attributes: sets[i*i%len(sets)], Value: 1})
	}
	assert.Equal(t, data, dataOf(t, recoded(t, one(data))))
}
