package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
)

// deliver sends a collection, batch by batch, and settles it.
func (d *delivery) deliver(entry queue.Entry) {
	d.reportUnknown(entry.Collection())
	var (
		left     = entry.Points()
		exported int
		drops    []Drop
	)
	for part := range batch.Split(entry.Collection(), d.config.maxExportBatchSize) {
		o := d.send(part, entry.Position())
		if o.stopped {
			break
		}
		left -= part.Points()
		exported += part.Points() - o.drop.Points
		if o.drop.Points > 0 {
			drops = append(drops, o.drop)
		}
		if o.err != nil {
			d.flushes.failed(entry.Position(), o.err)
			d.report(o.err)
		}
	}
	if left > 0 && d.queue.Durable() {
		return // the next process delivers what has not been settled
	}
	if left > 0 {
		drops = append(drops, Drop{Points: left, Reason: queue.ReasonShutdown, Err: context.Cause(d.ctx)})
	}
	d.settle(entry, exported, drops)
}

// settle ends a collection, then tells of what was dropped, so that whoever is
// told finds it counted.
func (d *delivery) settle(entry queue.Entry, exported int, drops []Drop) {
	dropped := 0
	for _, drop := range drops {
		dropped += drop.Points
	}
	if err := entry.Settle(exported, dropped); err != nil {
		d.report(fmt.Errorf("asyncmetric: settling a collection: %w", err))
	}
	for _, drop := range drops {
		d.drops.announce(drop)
	}
}

// outcome is how a batch ended.
type outcome struct {
	stopped bool  // it has not: delivery was stopped
	drop    Drop  // the part of it that was not exported; Points is 0 if there is none
	err     error // what went wrong, to be reported
}

func dropped(points int, reason DropReason, err error) outcome {
	drop := Drop{Points: points, Reason: reason, Err: err}
	return outcome{drop: drop, err: dropError(drop)}
}

// send hands a batch of the collection at position to the inner exporter until
// it has ended or delivery is stopped.
func (d *delivery) send(part batch.Part, position uint64) outcome {
	backOff := d.config.retry.backOff()
	started := time.Now()
	for attempt := 1; d.ctx.Err() == nil; attempt++ {
		err := d.attempt(part)
		if err == nil {
			return outcome{}
		}
		if rejected, ok := partialSuccess(err); ok {
			return accepted(part.Points(), rejected, err)
		}
		if d.ctx.Err() != nil {
			break // it may be the stop that made the attempt fail
		}
		retry, after := d.classify(err)
		if !retry {
			return dropped(part.Points(), queue.ReasonPermanent, err)
		}
		wait := max(backOff.NextBackOff(), min(after, d.config.retry.MaxInterval))
		if limit := d.config.retry.MaxElapsedTime; limit > 0 && time.Since(started)+wait > limit {
			return dropped(part.Points(), queue.ReasonElapsed, err)
		}
		if attempt == 1 {
			d.report(fmt.Errorf("asyncmetric: export of %d data points failed, trying again: %w", part.Points(), err))
		}
		if d.pause(wait, position, backOff) {
			d.retries.Add(1)
		}
	}
	return outcome{stopped: true}
}

// accepted is the outcome of a batch that the server took but for some of its
// points.
func accepted(points, rejected int, err error) outcome {
	if rejected > 0 {
		return dropped(min(points, rejected), queue.ReasonPermanent, err)
	}
	return outcome{err: fmt.Errorf("asyncmetric: exported, with a warning: %w", err)}
}

// classify reports whether to try again after err, and when at the earliest.
func (d *delivery) classify(err error) (retry bool, after time.Duration) {
	if d.config.retryDisabled {
		return false, 0
	}
	return d.config.retry.Classify(err)
}

// attempt hands a copy of a batch to the inner exporter, once. The copy is
// made anew each time, because the exporter may change it.
func (d *delivery) attempt(part batch.Part) error {
	return d.call(d.ctx, "Export", func(ctx context.Context) error {
		return d.inner.Export(ctx, part.Copy(&d.scratch))
	})
}

// call makes one call to the inner exporter, with a deadline, and turns a
// panic into an error.
func (d *delivery) call(ctx context.Context, method string, f func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.config.exportTimeout, errExportTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w in %s: %v\n%s", ErrPanic, method, v, debug.Stack())
		}
	}()
	err = f(ctx)
	if err != nil && context.Cause(ctx) == errExportTimeout && !errors.Is(err, context.DeadlineExceeded) {
		// Not every exporter says so when it was its deadline that made it fail.
		err = fmt.Errorf("%w after %v: %w", context.DeadlineExceeded, d.config.exportTimeout, err)
	}
	return err
}

// pause waits before a batch is tried again, but not for a ForceFlush or
// Shutdown that has just begun to wait for it: then it starts backOff anew. It
// returns false if delivery was stopped.
func (d *delivery) pause(wait time.Duration, position uint64, backOff backoff.BackOff) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for d.ctx.Err() == nil {
		d.flushInner()
		if d.hurry(position) {
			backOff.Reset()
			return true
		}
		select {
		case <-timer.C:
			return true
		case <-d.flushes.wake:
		case <-d.ctx.Done():
		}
	}
	return false
}

// reportUnknown reports data that cannot be copied or split, once for each
// kind.
func (d *delivery) reportUnknown(rm *metricdata.ResourceMetrics) {
	m := batch.Unknown(rm)
	if m == nil {
		return
	}
	kind := fmt.Sprintf("%T", m.Data)
	if _, ok := d.unknown[kind]; ok {
		return
	}
	d.unknown[kind] = struct{}{}
	d.report(fmt.Errorf("asyncmetric: metric %q has data of the unknown kind %s: it is passed on without a copy",
		m.Name, kind))
}

func (d *delivery) report(err error) { d.config.errorHandler.Handle(err) }
