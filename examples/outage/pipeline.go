package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
)

// interval is the time between two collections.
const interval = 100 * time.Millisecond

// protocol is one way to send OTLP.
type protocol struct {
	newExporter func(ctx context.Context, endpoint string, retries retries) (sdkmetric.Exporter, error)
	newServer   func(*backend) server
}

// retries says whether an OTLP exporter repeats failed requests itself.
type retries bool

const (
	withRetries    retries = true // the default of the exporters
	withoutRetries retries = false
)

var protocols = map[string]protocol{
	"http": {newHTTPExporter, newHTTPServer},
	"grpc": {newGRPCExporter, newGRPCServer},
}

// pipeline is the way of the metrics from a reader to a backend of its own.
type pipeline struct {
	name      string
	backend   *backend
	reader    *sdkmetric.PeriodicReader
	stopwatch *stopwatch
	stats     func() asyncmetric.Stats
	exporter  *asyncmetric.Exporter // nil in the bare one
}

// newBare returns a pipeline as most applications have it.
func newBare(ctx context.Context, p protocol, slowness time.Duration) (*pipeline, error) {
	b, inner, err := connect(ctx, p, slowness, withRetries)
	if err != nil {
		return nil, err
	}
	nothing := func() asyncmetric.Stats { return asyncmetric.Stats{} }
	return assemble("bare", b, inner, nothing), nil
}

// newWrapped returns a pipeline with the same exporter inside asyncmetric.
func newWrapped(ctx context.Context, p protocol, slowness time.Duration) (*pipeline, error) {
	b, inner, err := connect(ctx, p, slowness, withRetries)
	if err != nil {
		return nil, err
	}
	wrapped, err := asyncmetric.New(inner, asyncmetric.WithOnDrop(reportDrop))
	if err != nil {
		return nil, errors.Join(err, inner.Shutdown(ctx), b.close())
	}
	pipe := assemble("wrapped", b, wrapped, wrapped.Stats)
	pipe.exporter = wrapped
	return pipe, nil
}

// reportDrop says why points are missing, in case the wrapped pipeline fails.
func reportDrop(d asyncmetric.Drop) {
	slog.Warn("dropped", "points", d.Points, "reason", d.Reason, "error", d.Err)
}

// connect opens a backend and makes the exporter that sends to it.
func connect(
	ctx context.Context, p protocol, slowness time.Duration, retries retries,
) (*backend, sdkmetric.Exporter, error) {
	b := newBackend(p, slowness)
	if err := b.behave(healthy); err != nil {
		return nil, nil, err
	}
	exporter, err := p.newExporter(ctx, b.address, retries)
	if err != nil {
		return nil, nil, errors.Join(err, b.close())
	}
	return b, exporter, nil
}

// assemble puts the stopwatch around the exporter and the reader before it.
func assemble(name string, b *backend, exporter sdkmetric.Exporter, stats func() asyncmetric.Stats) *pipeline {
	watch := &stopwatch{Exporter: exporter}
	return &pipeline{
		name:      name,
		backend:   b,
		reader:    sdkmetric.NewPeriodicReader(watch, sdkmetric.WithInterval(interval)),
		stopwatch: watch,
		stats:     stats,
	}
}

// close shuts the exporter down without waiting for a delivery, and then the
// backend.
func (p *pipeline) close(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return errors.Join(p.reader.Shutdown(ctx), p.backend.close())
}

// snapshot is the state of a pipeline at one moment. What is delivered, lost
// and queued is counted in data points.
type snapshot struct {
	readings
	delivered int
	lost      int
	queued    int
}

func (p *pipeline) snapshot() snapshot {
	_, delivered := p.backend.delivered()
	readings, stats := p.stopwatch.read(), p.stats()
	return snapshot{
		readings:  readings,
		delivered: delivered,
		lost:      readings.lost + int(stats.Dropped),
		queued:    stats.Queued,
	}
}
