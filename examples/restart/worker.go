package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	otelmetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/spool"
)

// work is main of a process that counts.
func work(ctx context.Context, j *job, orders io.Reader, answers, stderr io.Writer) int {
	if err := count(ctx, j, orders, answers); err != nil {
		fmt.Fprintln(stderr, "restart: worker:", err)
		return 1
	}
	return 0
}

// count counts what the lines in orders say, and answers when a collection of
// that has been stored. When there are no more, it delivers what is queued.
//
// A PeriodicReader does the same by the clock. A reader that collects when it
// is told to makes sure that nothing has been counted and not yet been
// collected when the process is killed: no queue can save that.
func count(ctx context.Context, j *job, orders io.Reader, answers io.Writer) (err error) {
	exporter, err := newExporter(ctx, j)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, exporter.Shutdown(ctx)) }()
	reader := metric.NewManualReader(metric.WithTemporalitySelector(exporter.Temporality))
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	counter, err := provider.Meter("restart").Int64Counter("orders")
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(orders); lines.Scan(); {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			return err
		}
		if err := store(ctx, counter, n, reader, exporter); err != nil {
			return err
		}
		fmt.Fprintln(answers, "stored", n)
	}
	return nil
}

func store(
	ctx context.Context, counter otelmetric.Int64Counter, n int64, reader metric.Reader, exporter metric.Exporter,
) error {
	counter.Add(ctx, n)
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &rm); err != nil {
		return err
	}
	return exporter.Export(ctx, &rm) // returns when it is on disk
}

// newExporter returns an OTLP exporter behind a queue on disk.
func newExporter(ctx context.Context, j *job) (*asyncmetric.Exporter, error) {
	inner, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpoint(j.Endpoint),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
		otlpmetrichttp.WithTemporalitySelector(metric.DeltaTemporalitySelector),
	)
	if err != nil {
		return nil, err
	}
	q, err := spool.Open(j.Folder)
	if err != nil {
		return nil, errors.Join(err, inner.Shutdown(ctx))
	}
	return asyncmetric.New(inner,
		asyncmetric.WithQueue(q),
		asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: 50 * time.Millisecond, MaxInterval: time.Second}),
		// The backend is down all along; each process would say so.
		asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {})),
	)
}
