package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
)

const (
	longOutage = 24 * time.Hour // simulated
	step       = time.Minute    // simulated: the default interval of a PeriodicReader
	room       = 45             // collections that fit into the queue: 45 minutes

	ordersPerStep  = countries * categories               // one for each attribute set
	pointsPerStep  = countries * categories * instruments // in one collection
	maxQueuePoints = room * pointsPerStep
)

// shortRetry makes the pipeline notice the recovery soon after it, for hours
// pass in seconds.
var shortRetry = asyncmetric.Retry{InitialInterval: 10 * time.Millisecond, MaxInterval: 100 * time.Millisecond}

// endurance is the demonstration of a long outage: an application and a wrapped
// pipeline for which no time passes between two collections.
type endurance struct {
	protocol  string
	steps     int
	app       *application
	provider  *sdkmetric.MeterProvider
	reader    *sdkmetric.ManualReader
	exporter  *asyncmetric.Exporter
	stopwatch *stopwatch // around the exporter
	backend   *backend

	counted     totals
	orders      int // taken so far
	mostWaiting int // points that waited at a time
}

// endure goes through a long outage and says what came of it. It writes a line
// each time the outage has become twice as long.
func endure(ctx context.Context, cfg config, page *statusPage, progress io.Writer) (summary, error) {
	e, err := newEndurance(ctx, cfg)
	if err != nil {
		return summary{}, err
	}
	page.serve(e.exporter)
	began := time.Now()
	lines := newCheckpoints(progress)
	err = errors.Join(e.backend.behave(unavailable), e.suffer(ctx, lines))

	err = errors.Join(err, e.backend.behave(healthy))
	recovered := time.Now()
	e.drain(ctx)
	drained := time.Since(recovered)

	err = errors.Join(err, e.backend.close())
	return e.summarize(lines.all, time.Since(began), drained), err
}

func newEndurance(ctx context.Context, cfg config) (*endurance, error) {
	b, inner, err := connect(ctx, protocols[cfg.protocol], slowness, withoutRetries)
	if err != nil {
		return nil, err
	}
	exporter, err := asyncmetric.New(inner,
		asyncmetric.WithMaxQueueSize(maxQueuePoints),
		asyncmetric.WithRetry(shortRetry),
		asyncmetric.WithOnDrop(reportDrop),
	)
	if err != nil {
		return nil, errors.Join(err, inner.Shutdown(ctx), b.close())
	}
	reader := sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(exporter.Temporality))
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(reader),
		// Nothing is traced, so there are no exemplars. To make room for them
		// in each point, at each collection, would take most of the time.
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter),
	)
	app, err := newApplication(provider.Meter("shop"))
	if err != nil {
		return nil, errors.Join(err, exporter.Shutdown(ctx), b.close())
	}
	return &endurance{
		protocol:  cfg.protocol,
		steps:     max(1, int(scaled(longOutage, cfg.scale)/step)),
		app:       app,
		provider:  provider,
		reader:    reader,
		exporter:  exporter,
		stopwatch: &stopwatch{Exporter: exporter},
		backend:   b,
	}, nil
}

// suffer makes all collections of the outage, and a checkpoint when the queue
// has become full, whenever twice as many have been made, and at the end.
func (e *endurance) suffer(ctx context.Context, lines *checkpoints) error {
	var rm metricdata.ResourceMetrics // used again each time, as a PeriodicReader does
	due := room
	for made := 1; made <= e.steps; made++ {
		if err := e.step(ctx, &rm); err != nil {
			return err
		}
		if made == due || made == e.steps {
			lines.add(made, e.exporter.Stats())
			due = 2 * made
		}
	}
	return nil
}

// step is one interval of the reader: the application takes an order for each
// of its attribute sets, and one collection is made and exported.
func (e *endurance) step(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	for range ordersPerStep {
		e.counted.add(e.app.record(e.orders))
		e.orders++
	}
	if err := e.reader.Collect(ctx, rm); err != nil {
		return err
	}
	if err := e.stopwatch.Export(ctx, rm); err != nil {
		return err
	}
	e.mostWaiting = max(e.mostWaiting, waitingPoints(e.exporter.Stats()))
	return nil
}

// drain delivers what waits and shuts the pipeline down. As in the short
// outage, what counts is what has arrived.
func (e *endurance) drain(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	err := errors.Join(e.provider.Shutdown(bounded), e.exporter.Shutdown(bounded))
	if err != nil && ctx.Err() == nil {
		slog.Warn("shutdown", "error", err)
	}
}
