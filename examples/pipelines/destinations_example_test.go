package pipelines_test

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/examples/internal/receiver"
)

// Two destinations are two pipelines: a reader, a queue and a worker for each.
// That one is down does not concern the other, and each has the temporality that
// it wants. (WithReplicas is something else: several exporters to one
// destination.)
func Example_twoDestinations() {
	collector, vendor := receiver.NewGRPC(), receiver.NewHTTP()
	defer collector.Close()
	defer vendor.Close()
	if err := runToTwo(context.Background(), collector.Endpoint, vendor.Endpoint); err != nil {
		fmt.Println(err)
	}
	fmt.Println("collector:", collector.Sum("orders"), "deltas:", collector.SawDeltas())
	fmt.Println("vendor:", vendor.Sum("orders"), "deltas:", vendor.SawDeltas())
	// Output:
	// collector: 3 deltas: false
	// vendor: 3 deltas: true
}

func runToTwo(ctx context.Context, collector, vendor string) (err error) {
	toCollector, err := newReader(otlpmetricgrpc.New(ctx,
		otlpmetricgrpc.WithEndpoint(collector),
		otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{Enabled: false}),
	))
	if err != nil {
		return err
	}
	toVendor, err := newReader(otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpoint(vendor),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
		otlpmetrichttp.WithTemporalitySelector(metric.DeltaTemporalitySelector),
	))
	if err != nil {
		return errors.Join(err, toCollector.Shutdown(ctx))
	}
	provider := metric.NewMeterProvider(metric.WithReader(toCollector), metric.WithReader(toVendor))
	defer func() { err = errors.Join(err, shutdown(ctx, provider)) }() // of both

	orders, err := provider.Meter("shop").Int64Counter("orders")
	if err != nil {
		return err
	}
	orders.Add(ctx, 3)
	return nil
}

// newReader makes a pipeline that ends in an exporter.
func newReader(inner metric.Exporter, err error) (metric.Reader, error) {
	if err != nil {
		return nil, err
	}
	exporter, err := asyncmetric.New(inner)
	if err != nil {
		return nil, errors.Join(err, inner.Shutdown(context.Background()))
	}
	return metric.NewPeriodicReader(exporter), nil
}
