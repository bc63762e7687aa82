package otlp_test

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/otlp"
)

// A collection goes through bytes.
func Example() {
	collected := &metricdata.ResourceMetrics{
		Resource: resource.NewSchemaless(attribute.String("service.name", "shop")),
		ScopeMetrics: []metricdata.ScopeMetrics{{
			Metrics: []metricdata.Metrics{{Name: "orders", Data: metricdata.Sum[int64]{
				Temporality: metricdata.DeltaTemporality,
				DataPoints: []metricdata.DataPoint[int64]{
					{Attributes: attribute.NewSet(attribute.String("country", "NZ")), Value: 42},
				},
			}}},
		}},
	}
	record, err := otlp.Append(nil, collected)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(record), "bytes")

	read, err := otlp.Decode(record)
	if err != nil {
		fmt.Println(err)
		return
	}
	metric := read.ScopeMetrics[0].Metrics[0]
	point := metric.Data.(metricdata.Sum[int64]).DataPoints[0]
	country, _ := point.Attributes.Value("country")
	fmt.Println(read.Resource, metric.Name, country.AsString(), point.Value)
	// Output:
	// 72 bytes
	// service.name=shop orders NZ 42
}

// A damaged record is an error that says where the damage is.
func ExampleDecode_damaged() {
	record, _ := otlp.Append(nil, &metricdata.ResourceMetrics{
		Resource: resource.NewSchemaless(attribute.String("service.name", "shop")),
	})
	record[len(record)-1] = 0xff // a letter of "shop"

	_, err := otlp.Decode(record)
	fmt.Println(err)
	fmt.Println(errors.Is(err, otlp.ErrUTF8))
	// Output:
	// otlp: cannot decode offset 20: resource.attributes[0].value.string_value: invalid UTF-8
	// true
}
