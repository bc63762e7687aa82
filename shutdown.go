package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/queue"
)

// cleanUpTime is what Shutdown keeps of the time it has for ending what could
// not be delivered, at most: the inner exporter gets it to heed the
// cancellation of its call, to be flushed and to shut down.
const cleanUpTime = 100 * time.Millisecond

// Shutdown refuses further Exports, delivers what is queued, repeating what
// fails, and then flushes the inner exporter and shuts it down, once. Shortly
// before the deadline of ctx, a tenth of the time it gives but at most 100 ms,
// or when ctx is cancelled, it gives up: it cancels the export under way, and
// what has not been delivered is counted as dropped, with the reason shutdown,
// or left to the next process if the queue is durable. Without a deadline in
// ctx, the one of [WithDrainTimeout] applies.
//
// Shutdown returns within ctx even if the inner exporter does not; only when
// ctx is cancelled, or has ended from the start, the inner exporter is given
// 100 ms to return. What remains to be done is then done in the background, when the
// call of the inner exporter returns.
//
// It returns all errors joined: those of the batches that were delivered
// meanwhile, those of the inner exporter, and, if not everything was
// delivered, one that says how many data points were not and wraps the error
// of ctx. Further calls wait for the same end under their own ctx and return
// metric.ErrExporterShutdown.
func (e *Exporter) Shutdown(ctx context.Context) error {
	ctx, cancel := e.withDrainTimeout(ctx)
	defer cancel()
	if !e.isDown.CompareAndSwap(false, true) {
		return e.awaitEnd(ctx)
	}
	d := e.delivery
	f := &flush{ctx: ctx}
	d.flushes.begin(f, everything)
	defer d.flushes.end(f)

	d.closeCtx = ctx
	close(d.closing)
	e.queue.Seal()
	telemetryErr := e.telemetry.close()
	ctx, cancel, gaveUp := e.awaitDrain(ctx)
	defer cancel()
	var closeErr error
	if e.isEnded() {
		closeErr = d.closeErr
	} else {
		// The inner exporter holds up the delivery goroutine, which will do the
		// rest. What waits need not wait for that.
		closeErr = errors.Join(e.queue.Close(),
			fmt.Errorf("asyncmetric: shutdown: the inner exporter has not ended: %w", gaveUp))
	}
	e.drops.reportRest()
	return errors.Join(d.flushes.result(f), e.undelivered(gaveUp), closeErr, await(ctx, telemetryErr))
}

// everything is the position of a flush that waits for all that is accepted.
func everything() uint64 { return math.MaxUint64 }

// awaitEnd waits for the end that another call of Shutdown brings about.
func (e *Exporter) awaitEnd(ctx context.Context) error {
	if e.isEnded() {
		return metric.ErrExporterShutdown // also if ctx has ended
	}
	select {
	case <-e.delivery.done:
		return metric.ErrExporterShutdown
	case <-ctx.Done():
		return fmt.Errorf("%w, but has not ended yet: %w", metric.ErrExporterShutdown, ctx.Err())
	}
}

// awaitDrain waits until delivery has ended, and stops it when the time is
// over. It returns nil if it did not have to, else the error of ctx; and before
// that the context for what remains to be done, which is ctx, but for a little
// more time if that has ended before its deadline.
func (e *Exporter) awaitDrain(ctx context.Context) (rest context.Context, cancel context.CancelFunc, gaveUp error) {
	giveUp := time.NewTimer(mostOf(ctx))
	defer giveUp.Stop()

	select {
	case <-e.delivery.done:
		return ctx, func() {}, nil
	case <-giveUp.C:
	case <-ctx.Done():
	}
	e.delivery.stop(errDrainOver)

	rest, cancel, gaveUp = ctx, func() {}, context.DeadlineExceeded
	if ctx.Err() != nil {
		gaveUp = ctx.Err()
		rest, cancel = context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	}
	select {
	case <-e.delivery.done:
	case <-rest.Done():
	}
	return rest, cancel, gaveUp
}

// await returns what result receives while ctx lives.
func await(ctx context.Context, result <-chan error) error {
	select {
	case err := <-result:
		return err
	default: // there may be no time left to wait, and need not be
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("asyncmetric: shutdown: metrics of the exporter are still being collected: %w", ctx.Err())
	}
}

// mostOf returns the time that ctx, which has a deadline, leaves, but for what is
// kept for cleaning up.
func mostOf(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	return left - min(left/10, cleanUpTime)
}

func (e *Exporter) isEnded() bool {
	select {
	case <-e.delivery.done:
		return true
	default:
		return false
	}
}

// undelivered returns an error if Shutdown leaves data points undelivered:
// dropped, still in the hands of the inner exporter, or kept by the queue.
func (e *Exporter) undelivered(cause error) error {
	n := e.drops.shutdown.Load() + int64(e.queue.Stats().Queued-e.delivery.shipment.done())
	if n == 0 {
		return nil
	}
	if cause == nil {
		cause = queue.ErrClosed // by someone else, before the drain was over
		if context.Cause(e.delivery.ctx) == errRetryOff {
			cause = errRetryOff
		}
	}
	return fmt.Errorf("asyncmetric: shutdown: %d data points were not delivered: %w", n, cause)
}
