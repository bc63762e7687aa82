package pipelines_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/examples/internal/receiver"
)

// Errors go to a logger: here that an outage begins, and that it is over. The
// error handler hears of drops, too, so nothing else needs to be logged.
func Example_logging() {
	backend := receiver.NewHTTP()
	defer backend.Close()
	backend.SetDown(true)

	// Without time and error, which differ from run to run; an application leaves
	// ReplaceAttr out.
	stable := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "error" {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: stable}))
	if err := runWithLogger(context.Background(), backend, logger); err != nil {
		fmt.Println(err)
	}
	// Output:
	// level=WARN msg="exporting metrics"
	// level=INFO msg="exporting metrics"
}

// errorLog returns an error handler that logs the end of an outage as
// information and all else as a warning. It must return soon, and must not flush
// or shut down the exporter.
func errorLog(logger *slog.Logger) otel.ErrorHandler {
	return otel.ErrorHandlerFunc(func(err error) {
		level := slog.LevelWarn
		if outage := (*asyncmetric.OutageError)(nil); errors.As(err, &outage) && outage.Over {
			level = slog.LevelInfo
		}
		logger.Log(context.Background(), level, "exporting metrics", "error", err)
	})
}

func runWithLogger(ctx context.Context, backend *receiver.Receiver, logger *slog.Logger) (err error) {
	inner, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpoint(backend.Endpoint),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
	)
	if err != nil {
		return err
	}
	exporter, err := asyncmetric.New(inner,
		asyncmetric.WithName("shop"), // in each error
		asyncmetric.WithErrorHandler(errorLog(logger)),
	)
	if err != nil {
		return errors.Join(err, inner.Shutdown(ctx))
	}
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
	defer func() { err = errors.Join(err, provider.Shutdown(ctx)) }()

	orders, err := provider.Meter("shop").Int64Counter("orders")
	if err != nil {
		return err
	}
	orders.Add(ctx, 3)

	soon, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	if err := provider.ForceFlush(soon); err == nil {
		return errors.New("delivered while the backend was away")
	}
	backend.SetDown(false)
	return nil // Shutdown delivers
}
