package asyncmetric_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func ExampleWithMeterProvider() {
	ctx := context.Background()
	reader := metric.NewManualReader() // or one of Prometheus, or a PeriodicReader
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	exporter, err := asyncmetric.New(printer(), asyncmetric.WithMeterProvider(provider))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = exporter.Export(ctx, metrictest.Numbers(2, 7))
	_ = exporter.Shutdown(ctx)

	var rm metricdata.ResourceMetrics
	_ = reader.Collect(ctx, &rm)
	for _, m := range rm.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			fmt.Println(m.Name, sum.DataPoints[0].Value)
		}
	}
	// Output:
	// sum.0 7
	// otel.sdk.exporter.metric_data_point.exported 2
}

// The metrics of the exporter may go through the exporter. The global
// MeterProvider is there before the one that needs the exporter, and passes on
// to it when it is set.
func ExampleWithMeterProvider_itself() {
	exporter, err := asyncmetric.New(printer(), asyncmetric.WithMeterProvider(otel.GetMeterProvider()))
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
	otel.SetMeterProvider(provider)
}
