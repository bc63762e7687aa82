package pipelines_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/examples/internal/receiver"
)

func Example_otlpGRPC() {
	backend := receiver.NewGRPC() // a Collector, say
	defer backend.Close()
	if err := runOverGRPC(context.Background(), backend.Endpoint); err != nil {
		fmt.Println(err)
	}
	fmt.Println("orders:", backend.Sum("orders"))
	// Output: orders: 3
}

func runOverGRPC(ctx context.Context, endpoint string) (err error) {
	inner, err := otlpmetricgrpc.New(ctx,
		otlpmetricgrpc.WithEndpoint(endpoint),
		otlpmetricgrpc.WithInsecure(), // on loopback
		// asyncmetric repeats what fails, and with retries here, too, attempts would multiply.
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{Enabled: false}),
	)
	if err != nil {
		return err
	}
	exporter, err := asyncmetric.New(inner)
	if err != nil {
		return errors.Join(err, inner.Shutdown(ctx))
	}
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
	defer func() { err = errors.Join(err, shutdown(ctx, provider)) }()

	orders, err := provider.Meter("shop").Int64Counter("orders")
	if err != nil {
		return err
	}
	orders.Add(ctx, 3)
	return nil
}

// shutdown ends a provider in 10 s at most, also if ctx has ended already. It
// collects once more, and delivers all that is queued.
func shutdown(ctx context.Context, provider *metric.MeterProvider) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return provider.Shutdown(ctx)
}

// flush gives a flush a little time: while the backend is away it takes all that
// it may.
func flush(ctx context.Context, provider *metric.MeterProvider) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return provider.ForceFlush(ctx)
}
