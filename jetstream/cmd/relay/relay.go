package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/jetstream"
)

// A relay is all that runs.
type relay struct {
	conn     *nats.Conn
	closed   chan struct{} // closed when the connection is
	exporter *asyncmetric.Exporter
	page     *page      // nil if there is none
	broken   chan error // of the page; capacity 1
	log      *slog.Logger
}

// start connects to the broker, and waits for it as long as ctx allows. It
// returns nil if ctx ended first.
func start(ctx context.Context, s *settings, log *slog.Logger) (_ *relay, err error) {
	r := &relay{closed: make(chan struct{}), broken: make(chan error, 1), log: log}
	defer func() {
		if err != nil {
			_ = r.close(time.Second)
		}
	}()
	if r.conn, err = nats.Connect(s.url, r.connOptions(s)...); err != nil {
		return nil, fmt.Errorf("connecting to the broker: %w", err)
	}
	if s.http != "" { // before there is an exporter: who asks for health wants to know that it waits
		if r.page, err = servePage(s.http, r); err != nil {
			return nil, err
		}
		log.Info("status", "address", r.page.address())
	}
	js, err := natsjs.New(r.conn)
	if err != nil {
		return nil, err
	}
	q, err := r.open(ctx, js, s.queue)
	if err != nil {
		return nil, err
	}
	inner, err := newOTLP(ctx, s.protocol)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the OTLP exporter: %w", err), q.Close())
	}
	exporter, err := asyncmetric.New(inner, asyncmetric.WithQueue(q), asyncmetric.WithErrorHandler(errorLog(log)))
	if err != nil {
		return nil, errors.Join(err, q.Close())
	}
	r.exporter = exporter
	if r.page != nil {
		r.page.show(exporter)
	}
	log.Info("delivering", "broker", r.conn.ConnectedUrlRedacted(), "protocol", s.protocol)
	return r, nil
}

// errorLog returns an error handler, which hears of drops, too. It logs the end of
// an outage as information and all else as a warning.
func errorLog(log *slog.Logger) otel.ErrorHandler {
	return otel.ErrorHandlerFunc(func(err error) {
		level := slog.LevelWarn
		if outage := (*asyncmetric.OutageError)(nil); errors.As(err, &outage) && outage.Over {
			level = slog.LevelInfo
		}
		log.Log(context.Background(), level, "exporting", "error", err)
	})
}

// connOptions never let the connection give up.
func (r *relay) connOptions(s *settings) []nats.Option {
	last := "" // why it failed last; the handlers are called one after the other
	opts := []nats.Option{
		nats.Name("asyncmetric relay"),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { r.log.Warn("the broker is away", "error", err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if text := err.Error(); text != last {
				last = text
				r.log.Warn("the broker cannot be reached", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			last = ""
			r.log.Info("the broker is back", "broker", c.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { r.log.Warn("broker", "error", err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(r.closed) }),
	}
	if s.creds != "" {
		opts = append(opts, nats.UserCredentials(s.creds))
	}
	if s.ca != "" {
		opts = append(opts, nats.RootCAs(s.ca))
	}
	if s.cert != "" {
		opts = append(opts, nats.ClientCert(s.cert, s.key))
	}
	return opts
}

// open opens the queue, again and again until the broker and the stream are
// there, unless the options are wrong.
func (r *relay) open(ctx context.Context, js natsjs.JetStream, opts []jetstream.Option) (*jetstream.Queue, error) {
	const attempt, pause = 10 * time.Second, time.Second
	for {
		attemptCtx, cancel := context.WithTimeout(ctx, attempt)
		q, err := jetstream.Open(attemptCtx, js, opts...)
		cancel()
		switch {
		case err == nil:
			return q, nil
		case errors.Is(err, jetstream.ErrInvalidOption), errors.Is(err, jetstream.ErrMismatch), ctx.Err() != nil:
			return nil, err
		}
		r.log.Warn("waiting for the stream", "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// newOTLP makes an exporter as the environment says. The relay repeats what
// fails, so it does not itself.
func newOTLP(ctx context.Context, protocol string) (metric.Exporter, error) {
	if protocol == grpcProtocol {
		return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{Enabled: false}))
	}
	return otlpmetrichttp.New(ctx, otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}))
}

// close ends what was started, in the opposite order, and delivers for as long
// as drain what has been begun.
func (r *relay) close(drain time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	var errs []error
	if r.exporter != nil {
		errs = append(errs, r.exporter.Shutdown(ctx))
	}
	if r.page != nil {
		errs = append(errs, r.page.close())
	}
	if r.conn != nil {
		_ = r.conn.FlushTimeout(time.Second) // what was given back; else its time runs out
		r.conn.Close()
		<-r.closed
	}
	return errors.Join(errs...)
}
