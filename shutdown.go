package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/queue"
)

// Shutdown refuses further Exports, delivers what is queued, repeating what
// fails, and then flushes the inner exporter and shuts it down, once. Shortly
// before the deadline of ctx, a tenth of the time it gives but at most 100 ms,
// or when ctx is cancelled, it gives up: it cancels the export under way, and
// what has not been delivered is counted as dropped, with the reason shutdown,
// or left to the next process if the queue is durable. [WithDrainTimeout] bounds
// it, too.
//
// Shutdown returns within ctx even if the inner exporter does not, and at most 30
// ms later where the queue or the error handler holds it up. Only when ctx is
// cancelled, or has ended from the start, the inner exporter is given 100 ms to
// return. What remains to be done is then done in the background, when
// the call of the inner exporter returns.
//
// It returns all errors joined: those of the batches that were dropped
// meanwhile, those of the inner exporter, and, if not everything was
// delivered, an [UndeliveredError]. Further calls wait for the same end under
// their own ctx and return metric.ErrExporterShutdown.
func (e *Exporter) Shutdown(ctx context.Context) error {
	ctx, cancel := e.drainContext(ctx)
	defer cancel()
	if !e.isDown.CompareAndSwap(false, true) {
		return e.awaitEnd(ctx)
	}
	w := e.worker
	w.closeCtx = ctx
	close(w.closing)
	f := &flush{ctx: ctx}
	w.flushes.begin(f, func() uint64 { return everything })
	defer w.flushes.end(f)
	within(ctx, e.queue.Seal) // a Put may hold it up
	unregistered := e.metrics.Close()

	ctx, cancel, gaveUp := e.awaitDrain(ctx)
	defer cancel()
	var closeErr error
	if w.hasEnded() {
		closeErr = w.closeErr
	} else {
		// The inner exporter, or the queue, holds up the worker, which will do the
		// rest. What waits need not wait for that.
		closeErr = e.name.errorf("shutdown: the inner exporter has not ended: %w", gaveUp)
		var queueErr error
		if within(ctx, func() { queueErr = e.queue.Close() }) {
			closeErr = errors.Join(queueErr, closeErr)
		}
	}
	closeErr = errors.Join(closeErr, e.closeDeadLetter(ctx))
	undelivered := e.undelivered(gaveUp)
	within(ctx, func() {
		e.reports.close(ctx)
		if undelivered != nil && !undelivered.Kept {
			e.reports.handle(undelivered)
		}
	})
	dropped, _ := w.flushes.result(f)
	return errors.Join(dropped, asError(undelivered), closeErr, e.awaitMetrics(ctx, unregistered))
}

// closeDeadLetter shuts the dead letter down.
func (e *Exporter) closeDeadLetter(ctx context.Context) (err error) {
	if !within(ctx, func() { err = e.worker.deadLetter.shutdown(ctx) }) {
		return e.name.errorf("shutdown: the dead letter has not ended: %w", ctx.Err())
	}
	return err
}

// lastGrace is how long after the end of its context Shutdown waits for what
// needs no time, unless a lock is held or an error handler blocks.
const lastGrace = 10 * time.Millisecond

// within calls f on a goroutine of its own and waits for it as long as ctx
// lives, and lastGrace. It reports whether f has returned.
func within(ctx context.Context, f func()) bool {
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		f()
	}()
	select {
	case <-returned:
		return true
	case <-ctx.Done():
	}
	grace := time.NewTimer(lastGrace)
	defer grace.Stop()
	select {
	case <-returned:
		return true
	case <-grace.C:
		return false
	}
}

// awaitEnd waits for the end that another call of Shutdown brings about.
func (e *Exporter) awaitEnd(ctx context.Context) error {
	if e.worker.hasEnded() {
		return metric.ErrExporterShutdown // also if ctx has ended
	}
	select {
	case <-e.worker.done:
		return metric.ErrExporterShutdown
	case <-ctx.Done():
		return fmt.Errorf("%w, but has not ended yet: %w", metric.ErrExporterShutdown, ctx.Err())
	}
}

// awaitDrain waits until the worker has ended, and stops it when the time is
// over. It returns nil if it did not have to, else the error of ctx; and before
// that the context for what remains to be done, which is ctx, but for a little
// more time if that has ended before its deadline.
func (e *Exporter) awaitDrain(ctx context.Context) (rest context.Context, cancel context.CancelFunc, gaveUp error) {
	giveUp := time.NewTimer(drainBudget(ctx))
	defer giveUp.Stop()
	select {
	case <-e.worker.done:
		return ctx, func() {}, nil
	case <-giveUp.C:
	case <-ctx.Done():
	}
	e.worker.stop(errDrainOver)

	rest, cancel, gaveUp = ctx, func() {}, context.DeadlineExceeded
	if ctx.Err() != nil {
		gaveUp = ctx.Err()
		rest, cancel = context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	}
	select {
	case <-e.worker.done:
	case <-rest.Done():
	}
	return rest, cancel, gaveUp
}

// awaitMetrics waits, as long as ctx allows, until the MeterProvider has let go
// of the exporter.
func (e *Exporter) awaitMetrics(ctx context.Context, unregistered <-chan error) (err error) {
	select {
	case err = <-unregistered:
	default: // there may be no time left to wait, and need not be
		select {
		case err = <-unregistered:
		case <-ctx.Done():
			err = fmt.Errorf("shutdown: metrics of the exporter are still being collected: %w", ctx.Err())
		}
	}
	if err != nil {
		return e.name.errorf("%w", err)
	}
	return nil
}

// undelivered returns an error if Shutdown leaves data points undelivered:
// dropped, still in a call of the inner exporter, or kept by the queue. The queue
// has been closed.
func (e *Exporter) undelivered(cause error) *UndeliveredError {
	kept, lost := e.queue.Stats().Queued, e.tally.undelivered()
	points, durable := lost, e.worker.durable
	if durable {
		points = kept
	}
	if points == 0 {
		return nil
	}
	if cause == nil {
		cause = queue.ErrClosed // by something else, before the drain was over
		if context.Cause(e.worker.ctx) == errRetryOff {
			cause = errRetryOff
		}
	}
	return &UndeliveredError{Exporter: string(e.name), Points: points, Kept: durable, Err: cause}
}

// asError keeps a nil pointer from becoming an error.
func asError(e *UndeliveredError) error {
	if e == nil {
		return nil
	}
	return e
}
