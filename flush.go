package asyncmetric

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/sdk/metric"
)

// ForceFlush returns when everything that Export accepted before the call has
// been exported or dropped, and the inner exporter has been flushed after that.
// It does not wait for what is exported later. Calls that wait for the same share
// one flush of the inner exporter. A batch that waits to be sent again is sent at
// once, unless the server asked for the delay or [WithMinInterval] demands it.
//
// It returns, joined, the errors of what was dropped of the collections that it
// waited for, by overflow too, and the error of the inner exporter. When ctx ends
// first, the error wraps that of ctx, says how much is still queued, and why the
// last attempt failed; nothing is lost by it. [WithDrainTimeout] bounds it, too.
// After Shutdown it returns metric.ErrExporterShutdown.
func (e *Exporter) ForceFlush(ctx context.Context) error {
	if e.isDown.Load() {
		return metric.ErrExporterShutdown
	}
	ctx, cancel := e.drainContext(ctx)
	defer cancel()
	f := &flush{ctx: ctx, served: make(chan error, 1)}
	if ctx.Err() != nil {
		return e.flushTimeout(f)
	}
	fs := e.worker.flushes
	fs.begin(f, func() uint64 { return e.queue.Stats().Last })
	defer fs.end(f)
	err := e.awaitFlush(f)
	dropped, _ := fs.result(f)
	return errors.Join(dropped, err, e.worker.deadLetter.flush(ctx))
}

// awaitFlush waits until the inner exporters have been flushed for f.
func (e *Exporter) awaitFlush(f *flush) error {
	select {
	case err := <-f.served:
		return err
	case <-e.worker.done:
	case <-f.ctx.Done():
		return e.flushTimeout(f)
	}
	select {
	case err := <-f.served:
		return err
	default:
		return metric.ErrExporterShutdown
	}
}

// flushTimeout is the error of a flush whose context has ended.
func (e *Exporter) flushTimeout(f *flush) error {
	queued := count(e.queue.Stats().Queued)
	if _, last := e.worker.flushes.result(f); last != nil {
		return e.name.errorf("flush ended with %s still queued: %w; the last attempt failed: %w", queued, f.ctx.Err(), last)
	}
	return e.name.errorf("flush ended with %s still queued: %w", queued, f.ctx.Err())
}

// drainContext bounds ctx by the drain timeout, if that was given or ctx has no
// deadline.
func (e *Exporter) drainContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok && !e.config.drainTimeoutGiven {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, e.config.drainTimeout, errDrainTimeout)
}
