package pipelines_test

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	otelmetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/examples/internal/receiver"
)

// An OTLP exporter sends one request at a time. Where collections are large and
// the backend is far away, further exporters to the same destination share the
// batches of each collection.
func Example_replicas() {
	backend := receiver.NewGRPC()
	defer backend.Close()
	if err := runWithReplicas(context.Background(), backend.Endpoint); err != nil {
		fmt.Println(err)
	}
	fmt.Println("requests:", backend.Requests()) // of one collection, at the shutdown
	// Output: requests: 4
}

func runWithReplicas(ctx context.Context, endpoint string) (err error) {
	var inner []metric.Exporter
	for range 3 {
		exporter, err := otlpmetricgrpc.New(ctx,
			otlpmetricgrpc.WithEndpoint(endpoint),
			otlpmetricgrpc.WithInsecure(),
			otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{Enabled: false}),
		)
		if err != nil {
			return errors.Join(err, shutdownAll(ctx, inner))
		}
		inner = append(inner, exporter)
	}
	exporter, err := asyncmetric.New(inner[0],
		asyncmetric.WithReplicas(inner[1:]...),
		asyncmetric.WithMaxExportBatchSize(500), // what is larger is split: without batches, there is nothing to share
	)
	if err != nil {
		return errors.Join(err, shutdownAll(ctx, inner))
	}
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
	defer func() { err = errors.Join(err, shutdown(ctx, provider)) }()

	stock, err := provider.Meter("shop").Int64Gauge("stock")
	if err != nil {
		return err
	}
	for article := range 1900 { // four batches
		stock.Record(ctx, 1, otelmetric.WithAttributes(attribute.Int("article", article)))
	}
	return nil
}

// shutdownAll is for exporters that nothing has taken over.
func shutdownAll(ctx context.Context, exporters []metric.Exporter) error {
	var errs []error
	for _, e := range exporters {
		errs = append(errs, e.Shutdown(ctx))
	}
	return errors.Join(errs...)
}
