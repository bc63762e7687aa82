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
			if o.err != nil {
				d.flushes.failed(entry.Position(), o.err)
			}
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
	err     error // what went wrong, to be reported; if stopped, at the last attempt
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
	var last error
	for attempt := 1; d.ctx.Err() == nil; attempt++ {
		if attempt > 1 {
			d.retries.Add(1)
		}
		v := d.attempt(part)
		switch {
		case v.err == nil:
			return outcome{}
		case v.accepted:
			return accepted(part.Points(), v.rejected, v.err)
		case d.ctx.Err() != nil:
			continue // it may be the stop that made the attempt fail
		case !v.retry:
			return dropped(part.Points(), queue.ReasonPermanent, v.err)
		}
		last = v.err
		wait := max(backOff.NextBackOff(), min(v.after, d.config.retry.MaxInterval))
		if limit := d.config.retry.MaxElapsedTime; limit > 0 && time.Since(started)+wait > limit {
			return dropped(part.Points(), queue.ReasonElapsed, v.err)
		}
		if attempt == 1 {
			d.report(fmt.Errorf("asyncmetric: export of %d data points failed, trying again: %w", part.Points(), v.err))
		}
		d.pause(wait, position, backOff)
	}
	return outcome{stopped: true, err: last}
}

// accepted is the outcome of a batch that the server took but for some of its
// points.
func accepted(points, rejected int, err error) outcome {
	if rejected > 0 {
		return dropped(min(points, rejected), queue.ReasonPermanent, err)
	}
	return outcome{err: fmt.Errorf("asyncmetric: exported, with a warning: %w", err)}
}

// verdict is what came of an attempt.
type verdict struct {
	err      error
	accepted bool // the server took the data, all but rejected points
	rejected int
	retry    bool          // another attempt may help
	after    time.Duration // but not before this time
}

// attempt hands a copy of a batch to the inner exporter, once. The copy is
// made anew each time, because the exporter may change it.
func (d *delivery) attempt(part batch.Part) (v verdict) {
	v.err = d.call(d.ctx, "Export", func(ctx context.Context) error {
		return d.inner.Export(ctx, part.Copy(&d.scratch))
	})
	if v.err == nil {
		return v
	}
	// The error is code of the inner exporter, too: its methods may panic.
	err := protect("the classification of its error", func() error {
		if v.rejected, v.accepted = partialSuccess(v.err); !v.accepted && !d.config.retryDisabled {
			v.retry, v.after = d.config.retry.Classify(v.err)
		}
		return nil
	})
	if err != nil {
		return verdict{err: err}
	}
	return v
}

// call makes one call to the inner exporter, with a deadline.
func (d *delivery) call(ctx context.Context, method string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.config.exportTimeout, errExportTimeout)
	defer cancel()
	err := protect(method, func() error { return f(ctx) })
	if err != nil && context.Cause(ctx) == errExportTimeout && !isDeadline(err) {
		// Not every exporter says so when it was its deadline that made it fail.
		err = fmt.Errorf("%w after %v: %w", context.DeadlineExceeded, d.config.exportTimeout, err)
	}
	return err
}

// isDeadline is errors.Is, which calls methods of err.
func isDeadline(err error) (is bool) {
	_ = protect("an error", func() error {
		is = errors.Is(err, context.DeadlineExceeded)
		return nil
	})
	return is
}

// protect calls f and turns a panic into an error.
func protect(where string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w in %s: %v\n%s", ErrPanic, where, v, debug.Stack())
		}
	}()
	return f()
}

// pause waits before a batch is tried again, but not for a ForceFlush or
// Shutdown that has just begun to wait for it: then it starts backOff anew. It
// ends early when delivery is stopped.
func (d *delivery) pause(wait time.Duration, position uint64, backOff backoff.BackOff) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for d.ctx.Err() == nil {
		d.flushInner()
		if d.hurry(position) {
			backOff.Reset()
			return
		}
		select {
		case <-timer.C:
			return
		case <-d.flushes.wake:
		case <-d.ctx.Done():
		}
	}
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
