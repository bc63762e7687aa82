package asyncmetric

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/observe"
	"github.com/asyncmetric/asyncmetric/queue"
)

// An Exporter is a metric.Exporter that queues what it is given and delivers
// it to another exporter in the background. All its methods are safe for
// concurrent use.
//
// The callers of Export own the tail of the queue. The worker, one goroutine,
// owns its head and makes every call to the inner exporters but the selectors,
// which are forwarded. Nothing is locked while any of them waits.
type Exporter struct {
	name    named
	inner   metric.Exporter
	config  config
	queue   queue.Queue
	worker  *worker
	tally   *tally
	reports *reports
	metrics *observe.Metrics
	refused atomic.Uint64 // data points for which Export returned an error
	isDown  atomic.Bool   // Shutdown has been called
}

var _ metric.Exporter = (*Exporter)(nil)

// instances counts the exporters of the process that got no name.
var instances atomic.Int64

// New returns an Exporter that delivers to inner, which must not be used by
// anything else from now on; [Exporter.Shutdown] shuts it down too. New starts
// one goroutine, which ends with Shutdown.
//
// It returns an error if inner is nil or an Exporter itself, if the queue of
// [WithQueue] is closed or has been given to another Exporter
// ([queue.ErrClosed], [queue.ErrInUse]), and if an option is invalid; that error
// wraps [ErrInvalidOption] and names everything that is wrong. The exporters and
// the queue are the caller's then.
func New(inner metric.Exporter, opts ...Option) (*Exporter, error) {
	if err := validateExporter(inner); err != nil {
		return nil, fmt.Errorf("asyncmetric: New: %w", err)
	}
	c, err := newConfig(inner, opts)
	if err != nil {
		return nil, err
	}
	e := &Exporter{name: named(c.name), inner: inner, config: c, tally: new(tally)}
	if e.name == "" {
		e.name = named(fmt.Sprintf("%s/%d", observe.ComponentType, instances.Add(1)-1))
	}
	e.reports = &reports{
		name:    e.name,
		handler: c.errorHandler,
		hook:    c.onDrop,
		telling: make(chan struct{}, 1),
		stats:   func() queue.Stats { return e.queue.Stats() },
	}
	if e.queue, err = newQueue(&c, e.reports.reportLimited); err != nil {
		return nil, fmt.Errorf("asyncmetric: %w", err)
	}
	if c.meterProvider != nil {
		e.metrics = observe.New(string(e.name), c.meterProvider, e.reports.report)
		e.reports.metrics = e.metrics
	}
	d := &delivery{
		config:  &e.config,
		flushes: newFlushes(),
		reports: e.reports,
		metrics: e.metrics,
		pacer:   pacer{interval: c.minInterval},
		durable: e.queue.Info().Durable,
		closing: make(chan struct{}),
	}
	d.ctx, d.stop = context.WithCancelCause(context.Background())
	err = e.queue.Start(queue.Observer{
		Dropped: func(drop Drop) { e.droppedByQueue(d.flushes, drop) },
		Failed:  e.reports.report,
	})
	if err != nil {
		return nil, fmt.Errorf("asyncmetric: WithQueue: %w", err)
	}
	if d.deadLetter, err = newDeadLetter(&c, e.name); err != nil {
		return nil, err
	}
	e.worker = startWorker(append([]metric.Exporter{inner}, c.replicas...), e.queue, d, e.tally)
	e.metrics.Observe(e.state)
	return e, nil
}

// deadLetterBytes bounds what waits for a dead letter.
const deadLetterBytes = 8 << 20

// newDeadLetter returns the dead letter of the exporter name, which has a queue and
// a worker of its own; nil if c has none.
func newDeadLetter(c *config, name named) (*deadLetter, error) {
	if c.deadLetter == nil {
		return nil, nil
	}
	e, err := New(c.deadLetter,
		WithName(string(name)+"/dead-letter"),
		WithMaxQueueBytes(deadLetterBytes),
		WithOverflow(queue.DropOldest), // no point becomes part of another one
		WithExportTimeout(c.exportTimeout),
		WithErrorHandler(c.errorHandler))
	if err != nil {
		return nil, err
	}
	return &deadLetter{exporter: e, age: func() time.Duration { return e.Stats().OldestAge }, timeout: c.exportTimeout}, nil
}

// newQueue returns the queue to use.
func newQueue(c *config, report func(string, error)) (queue.Queue, error) {
	if c.queue != nil {
		return newGuarded(c.queue, report)
	}
	return queue.NewMemory(queue.Bound{Points: c.maxQueueSize, Bytes: c.maxQueueBytes}, c.overflow)
}

// droppedByQueue hears of what the queue drops on its own account.
func (e *Exporter) droppedByQueue(fs *flushes, d Drop) {
	d.Exporter = string(e.name)
	if d.Reason == ReasonShutdown {
		e.tally.add(0, d.Points)
	}
	if d.Reason == ReasonShutdown && e.isDown.Load() {
		d.Err = errDrainOver // Shutdown reports it
	} else {
		if d.Position > 0 {
			fs.dropped(d.Position, dropError(d))
		}
		e.reports.reportDrop(d)
	}
	e.reports.dropped(d)
}

// Export copies rm into the queue and returns; it does not wait for the inner
// exporter. The caller may reuse rm afterwards. A collection without data points
// is accepted and not delivered.
//
// When the queue is full, the policy of [WithOverflow] decides. What is lost
// by overflow is reported by [WithOnDrop], the error handler and Stats, and not
// by an error: a PeriodicReader whose Export fails does not flush its exporter
// any more. Only under queue.DropNewest does Export return [queue.ErrFull], and
// only under queue.Block does it wait for room, as long as ctx allows.
//
// A context that has ended does not refuse a collection that need not wait: the
// reader of the SDK hands over its last collection with one. After Shutdown,
// Export returns metric.ErrExporterShutdown. With a queue that is not in memory,
// Export also takes the time of that and may return its errors. On an error
// nothing has been queued, unless it says that the collection may still be queued
// (a disk or network did not answer in time). Stats counts the points as refused.
func (e *Exporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if rm == nil {
		return errNilCollection
	}
	err := e.queue.Put(ctx, rm)
	if err == nil {
		return nil
	}
	e.refused.Add(uint64(batch.Points(rm)))
	if err == queue.ErrClosed {
		return metric.ErrExporterShutdown
	}
	return e.name.errorf("%w", err)
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
	bytes, points, overflow := e.config.maxQueueBytes, e.config.maxQueueSize, e.config.overflow.String()
	if e.config.queueGiven {
		bytes, points, overflow = 0, 0, "" // are those of the queue
	}
	return struct {
		Type               string
		Exporter           metric.Exporter
		Queue              string
		MaxQueueBytes      int64
		MaxQueueSize       int // 0 for no bound in data points
		Overflow           string
		MaxExportBatchSize int
		ExportTimeout      time.Duration
		Shutdown           bool
	}{
		Type:               "asyncmetric",
		Exporter:           e.inner,
		Queue:              e.config.queueType(),
		MaxQueueBytes:      bytes,
		MaxQueueSize:       points,
		Overflow:           overflow,
		MaxExportBatchSize: e.config.maxExportBatchSize,
		ExportTimeout:      e.config.exportTimeout,
		Shutdown:           e.isDown.Load(),
	}
}

// isAsync tells this type from other exporters: it must not wrap itself.
func (e *Exporter) isAsync() {}
