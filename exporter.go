package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/queue"
)

// An Exporter is a metric.Exporter that queues what it is given and delivers
// it to another exporter in the background. All its methods are safe for
// concurrent use.
//
// The callers of Export own the tail of the queue, the delivery goroutine owns
// its head and sees to every call to the inner exporters but the selectors, which
// are forwarded. Nothing is locked while any of them waits.
type Exporter struct {
	name      string // tells it apart from the others of the process
	inner     metric.Exporter
	config    config
	queue     queue.Queue
	delivery  *delivery
	drops     *drops
	reports   *reports
	telemetry *telemetry
	isDown    atomic.Bool // Shutdown has been called
}

var _ metric.Exporter = (*Exporter)(nil)

// New returns an Exporter that delivers to inner, which must not be used by
// anything else from now on; [Exporter.Shutdown] shuts it down too. New starts
// one goroutine, which ends with Shutdown.
//
// It returns an error if inner is nil or an option is invalid; the latter
// wraps [ErrInvalidOption] and names everything that is wrong.
func New(inner metric.Exporter, opts ...Option) (*Exporter, error) {
	if inner == nil {
		return nil, errNilExporter
	}
	c, err := newConfig(inner, opts)
	if err != nil {
		return nil, err
	}
	q := c.queue
	if q == nil {
		if q, err = queue.NewMemory(c.maxQueueSize, c.overflow); err != nil {
			return nil, fmt.Errorf("asyncmetric: %w", err)
		}
	}
	e := &Exporter{inner: inner, config: c, queue: q, name: nextName()}
	e.reports = &reports{next: c.errorHandler}
	e.config.errorHandler = e.reports
	e.telemetry = newTelemetry(e.name, &e.config)
	e.drops = newDrops(&e.config, e.telemetry)
	q.Observe(queue.Observer{Dropped: e.drops.byQueue, Failed: e.reports.Handle})
	e.telemetry.observeQueue(q)
	e.delivery = startDelivery(inner, q, &e.config, e.drops, e.telemetry)
	return e, nil
}

// Export copies rm into the queue and returns; it does not wait for the inner
// exporter. rm may be reused afterwards. A collection without data points is
// accepted and not delivered.
//
// When the queue is full, the policy of [WithOverflow] decides. What is lost
// by overflow is reported by [WithOnDrop], the error handler and Stats, and not
// by an error: a PeriodicReader whose Export fails does not flush its exporter
// any more. Under queue.DropNewest alone, Export returns queue.ErrFull. Under
// queue.Block alone, it waits for room as long as ctx allows.
//
// If ctx has ended, Export returns its error, and after Shutdown
// metric.ErrExporterShutdown; nothing is queued then. With a queue that is not
// in memory, Export also takes the time and may return the errors of that.
func (e *Exporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if rm == nil {
		return errNilCollection
	}
	err := e.queue.Put(ctx, rm)
	if errors.Is(err, queue.ErrClosed) {
		return metric.ErrExporterShutdown
	}
	return err
}

// Temporality returns that of the inner exporter.
func (e *Exporter) Temporality(k metric.InstrumentKind) metricdata.Temporality {
	return e.inner.Temporality(k)
}

// Aggregation returns that of the inner exporter.
func (e *Exporter) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	return e.inner.Aggregation(k)
}

// MarshalLog returns what the SDK logs about the exporter.
func (e *Exporter) MarshalLog() any {
	bound, overflow := e.config.maxQueueSize, e.config.overflow.String()
	if e.config.queueGiven {
		bound, overflow = 0, "" // are those of the queue
	}
	return struct {
		Type               string
		Exporter           metric.Exporter
		Queue              string
		MaxQueueSize       int
		Overflow           string
		MaxExportBatchSize int
		ExportTimeout      time.Duration
		Shutdown           bool
	}{
		Type:               "asyncmetric",
		Exporter:           e.inner,
		Queue:              fmt.Sprintf("%T", e.queue),
		MaxQueueSize:       bound,
		Overflow:           overflow,
		MaxExportBatchSize: e.config.maxExportBatchSize,
		ExportTimeout:      e.config.exportTimeout,
		Shutdown:           e.isDown.Load(),
	}
}

// withDrainTimeout gives ctx a deadline if it has none.
func (e *Exporter) withDrainTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, e.config.drainTimeout, errDrainTimeout)
}
