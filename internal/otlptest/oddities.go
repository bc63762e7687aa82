package otlptest

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Oddities returns a collection with attributes of all types.
func Oddities() *metricdata.ResourceMetrics {
	all := []attribute.KeyValue{
		attribute.Bool("bool", true), attribute.Int("int", -1), attribute.Float64("float", 0.5),
		attribute.String("string", "s"), attribute.BoolSlice("bools", []bool{true, false}),
		attribute.IntSlice("ints", []int{1, -1}), attribute.Float64Slice("floats", []float64{1, 2}),
		attribute.StringSlice("strings", []string{"a", "b"}), attribute.ByteSlice("bytes", []byte{0, 0xff}),
		attribute.Slice("slice", attribute.IntValue(1), attribute.StringValue("1"), attribute.Value{}),
		attribute.Map("map", attribute.Map("in", attribute.Slice("in", attribute.SliceValue()))), {Key: "empty"},
	}
	return &metricdata.ResourceMetrics{
		Resource: resource.Empty(),
		ScopeMetrics: []metricdata.ScopeMetrics{{
			Scope: instrumentation.Scope{SchemaURL: "https://example.com/schema"},
			Metrics: []metricdata.Metrics{{Name: "requests", Data: metricdata.Gauge[float64]{
				DataPoints: []metricdata.DataPoint[float64]{{
					Attributes: attribute.NewSet(all...), Value: -0.5,
					Exemplars: []metricdata.Exemplar[float64]{{FilteredAttributes: all, SpanID: []byte{1}, TraceID: []byte{2}}},
				}},
			}}},
		}},
	}
}
