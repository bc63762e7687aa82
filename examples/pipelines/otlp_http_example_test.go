package pipelines_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/examples/internal/receiver"
)

func Example_otlpHTTP() {
	backend := receiver.NewHTTP()
	defer backend.Close()
	if err := runOverHTTP(context.Background(), backend.Endpoint); err != nil {
		fmt.Println(err)
	}
	fmt.Println("orders:", backend.Sum("orders"))
	// Output: orders: 3
}

func runOverHTTP(ctx context.Context, endpoint string) (err error) {
	inner, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpoint(endpoint),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
		// With deltas, a backend needs no memory of what an application has sent,
		// and an outage costs them nothing here: when the queue is full, they are
		// added up.
		otlpmetrichttp.WithTemporalitySelector(metric.DeltaTemporalitySelector),
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
	orders.Add(ctx, 1)
	// Whenever something has to arrive now: collects, and waits for the delivery.
	if err := flush(ctx, provider); err != nil {
		log.Print("what was counted is still queued: ", err)
	}
	orders.Add(ctx, 2)
	return nil
}
