package jetstream

import (
	"context"
	"sync/atomic"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// An Exporter hands collections over to the stream: the inner exporter of an
// application whose collections relays deliver. Put a queue in front of it, so
// that the application does not wait for the network:
//
//	exporter, err := asyncmetric.New(handover)
//
// All methods are safe for concurrent use. It starts no goroutine, and leaves
// the connection to the caller.
type Exporter struct {
	config    config
	publisher *publisher
	isDown    atomic.Bool
}

var _ metric.Exporter = (*Exporter)(nil)

// NewExporter returns an Exporter. It does not need the server: the stream is
// looked for, or made, by the first Export. Its only error wraps
// [ErrInvalidOption].
func NewExporter(js natsjs.JetStream, opts ...Option) (*Exporter, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	if js == nil {
		return nil, invalid("JetStream is nil")
	}
	e := &Exporter{config: c}
	e.publisher = newPublisher(js, &e.config)
	return e, nil
}

// Export publishes a collection and returns nil when the stream has
// acknowledged all of it. While no server answers it tries again until ctx
// ends. rm is not kept.
//
// An error that wraps [queue.ErrFull] says that the stream has no room. This
// one, [ErrNoStream], [ErrMismatch], [ErrPermission] and what wraps the error of
// ctx, an exporter in front tries again, as they may pass; others it does not. If
// OTLP cannot express some of the metrics, or a data point is too large for a
// message, the rest is published, and the error wraps a [PartialSuccess].
func (e *Exporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if e.isDown.Load() {
		return metric.ErrExporterShutdown
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if batch.Points(rm) == 0 {
		return nil
	}
	p, err := e.publisher.pack(ctx, rm)
	if err != nil {
		return err
	}
	err = e.publisher.send(ctx, p, func(record, ack) {})
	if err != nil || p.unfit == 0 {
		return err
	}
	return e.config.inStream(PartialSuccess{RejectedItems: int64(p.unfit), Err: p.unfitErr})
}

// Temporality returns what [WithTemporalitySelector] says.
func (e *Exporter) Temporality(k metric.InstrumentKind) metricdata.Temporality {
	return e.config.temporality(k)
}

// Aggregation returns what [WithAggregationSelector] says.
func (e *Exporter) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	return e.config.aggregation(k)
}

// ForceFlush has nothing to do: Export waits for the acknowledgement itself. It
// returns the error of ctx if that has ended.
func (e *Exporter) ForceFlush(ctx context.Context) error { return ctx.Err() }

// Shutdown makes Export refuse. It does not close the connection. Further
// calls return metric.ErrExporterShutdown.
func (e *Exporter) Shutdown(context.Context) error {
	if !e.isDown.CompareAndSwap(false, true) {
		return metric.ErrExporterShutdown
	}
	return nil
}
