package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// drainTimeout bounds how long both pipelines may take in the end. The OTLP
// exporter may wait in a back-off of its own when the outage is over.
const drainTimeout = time.Minute

// outage is the whole demonstration: one application and two pipelines.
type outage struct {
	protocol string
	phases   []phase
	app      *application
	provider *sdkmetric.MeterProvider
	bare     *pipeline
	wrapped  *pipeline
}

// perform sets the outage up, goes through the script and says what came of
// it. Progress is written while it runs.
func perform(ctx context.Context, cfg config, page *statusPage, progress io.Writer) (report, error) {
	o, err := newOutage(ctx, cfg)
	if err != nil {
		return report{}, err
	}
	page.serve(o.wrapped.exporter)
	out := newScreen(progress, length(o.phases), o.bare, o.wrapped)

	began := time.Now()
	o.app.start()
	err = o.play(ctx, out)
	counted := o.app.stop()
	out.during("drain", func() { o.drain(ctx) })

	err = errors.Join(err, o.bare.backend.close(), o.wrapped.backend.close())
	return report{
		Protocol: o.protocol,
		Seconds:  time.Since(began).Seconds(),
		Bare:     newResult(o.bare.backend, o.bare.stopwatch, counted),
		Wrapped:  newResult(o.wrapped.backend, o.wrapped.stopwatch, counted),
	}, err
}

func newOutage(ctx context.Context, cfg config) (*outage, error) {
	p, slowness := protocols[cfg.protocol], scaled(slowness, cfg.scale)
	bare, err := newBare(ctx, p, slowness)
	if err != nil {
		return nil, err
	}
	wrapped, err := newWrapped(ctx, p, slowness)
	if err != nil {
		return nil, errors.Join(err, bare.close(ctx))
	}
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(bare.reader),
		sdkmetric.WithReader(wrapped.reader),
	)
	app, err := newApplication(provider.Meter("shop"))
	if err != nil {
		return nil, errors.Join(err, bare.close(ctx), wrapped.close(ctx))
	}
	return &outage{
		protocol: cfg.protocol,
		phases:   script(cfg.scale),
		app:      app,
		provider: provider,
		bare:     bare,
		wrapped:  wrapped,
	}, nil
}

// play lets both backends go through the phases.
func (o *outage) play(ctx context.Context, out *screen) error {
	for _, phase := range o.phases {
		var err error
		out.during(phase.name, func() { err = o.playPhase(ctx, phase) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *outage) playPhase(ctx context.Context, p phase) error {
	err := errors.Join(o.bare.backend.behave(p.behaviour), o.wrapped.backend.behave(p.behaviour))
	if err != nil {
		return err
	}
	return sleep(ctx, p.duration)
}

// drain delivers what the pipelines still hold and shuts them down, as an
// application does when it ends. ForceFlush comes first for the sake of the bare
// exporter: a PeriodicReader that is shut down while it collects hands its
// collection over with a context that has ended, and that exporter refuses it.
//
// An error is no reason to fail, since what counts is what has arrived. After
// an interrupt nothing else can be expected.
func (o *outage) drain(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	err := errors.Join(o.provider.ForceFlush(bounded), o.provider.Shutdown(bounded))
	if err != nil && ctx.Err() == nil {
		slog.Warn("shutdown", "error", err)
	}
}
