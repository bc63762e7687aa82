package pipelines_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/examples/internal/receiver"
	"github.com/asyncmetric/asyncmetric/spool"
)

// What a process could not deliver, the next one does.
func Example_spool() {
	folder, err := os.MkdirTemp("", "spool")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	backend := receiver.NewHTTP()
	defer backend.Close()

	backend.SetDown(true)
	silent := otel.ErrorHandlerFunc(func(error) {}) // an application wants to know
	err = runWithSpool(backend.Endpoint, folder, silent, 3, time.Second)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), "orders:", backend.Sum("orders"))

	backend.SetDown(false)
	err = runWithSpool(backend.Endpoint, folder, silent, 4, 10*time.Second)
	fmt.Println(err, "orders:", backend.Sum("orders"))
	// Output:
	// true orders: 0
	// <nil> orders: 7
}

// runWithSpool is the life of a process, which has so long to shut down.
func runWithSpool(endpoint, folder string, handler otel.ErrorHandler, n int64, patience time.Duration) (err error) {
	ctx := context.Background()
	inner, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpoint(endpoint),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
		otlpmetrichttp.WithTemporalitySelector(metric.DeltaTemporalitySelector),
	)
	if err != nil {
		return err
	}
	q, err := spool.Open(folder) // one process at a time; it must not be on a temporary file system
	if err != nil {
		return errors.Join(err, inner.Shutdown(ctx))
	}
	exporter, err := asyncmetric.New(inner,
		asyncmetric.WithQueue(q), // and it closes the queue
		asyncmetric.WithErrorHandler(handler),
	)
	if err != nil {
		return errors.Join(err, q.Close(), inner.Shutdown(ctx))
	}
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
	defer func() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		err = errors.Join(err, provider.Shutdown(ctx))
	}()

	orders, err := provider.Meter("shop").Int64Counter("orders")
	if err != nil {
		return err
	}
	orders.Add(ctx, n)
	return nil
}
