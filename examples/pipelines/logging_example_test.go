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

// Errors and drops go to a logger. The backend is away, so the one data point is
// dropped when Shutdown runs out of time.
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
	err := runWithLogger(context.Background(), backend.Endpoint, logger)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// level=WARN msg="exporting metrics"
	// level=ERROR msg="metrics dropped" points=1 reason=shutdown
	// true
}

func runWithLogger(ctx context.Context, endpoint string, logger *slog.Logger) (err error) {
	inner, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpoint(endpoint),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
	)
	if err != nil {
		return err
	}
	exporter, err := asyncmetric.New(inner,
		// Hears of each batch that fails for the first time. Both functions must
		// return soon, and must not flush or shut down the exporter.
		asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(err error) {
			logger.Warn("exporting metrics", "error", err)
		})),
		// Hears of all that is lost.
		asyncmetric.WithOnDrop(func(d asyncmetric.Drop) {
			logger.Error("metrics dropped", "points", d.Points, "reason", d.Reason, "error", d.Err)
		}),
	)
	if err != nil {
		return errors.Join(err, inner.Shutdown(ctx))
	}
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
	defer func() {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		err = errors.Join(err, provider.Shutdown(ctx))
	}()

	orders, err := provider.Meter("shop").Int64Counter("orders")
	if err != nil {
		return err
	}
	orders.Add(ctx, 3)
	return nil
}
