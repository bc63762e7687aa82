package asyncmetric

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/asyncmetric/asyncmetric/queue"
)

// work sends loads of a shipment until there are no more for this sender.
func (s *sender) work(shipment *shipment) {
	defer shipment.leave()
	if shipment.inTurn && s != s.delivery.senders[0] {
		return
	}
	for l := shipment.next(); l != nil; l = shipment.next() {
		t := transfer{sender: s, delivery: s.delivery, shipment: shipment, load: l}
		if !t.run() {
			return
		}
	}
}

// standBy waits until all senders have done their part of a shipment. If
// delivery is stopped before, one of them is stuck: the exporters of the others
// are shut down meanwhile.
func (s *sender) standBy(shipment *shipment) {
	select {
	case <-shipment.worked:
		return
	default:
	}
	select {
	case <-shipment.worked:
	case <-s.delivery.ctx.Done():
		_ = s.close(s.delivery.closeCtx) // delivery asks again
	}
}

// A transfer is the way of a load to the exporter: attempt by attempt, until
// all of it has ended or delivery is stopped. It belongs to the sender's
// goroutine.
type transfer struct {
	sender   *sender
	delivery *delivery
	shipment *shipment
	load     *load

	delays      *backoff.ExponentialBackOff
	attempts    int
	first, last time.Time // when the first attempt began and the last one ended
	result      error     // of the last attempt
	failure     error     // of the last attempt that failed of itself
}

// run reports false if delivery was stopped before all had ended.
func (t *transfer) run() bool {
	d := t.delivery
	t.delays = d.config.retry.backOff()
	ended := false
	for !ended && t.ready() {
		ended = t.attempt()
	}
	if t.attempts > 0 {
		d.telemetry.concluded(t.last.Sub(t.first), t.result)
	}
	if ended || t.load.points() == 0 {
		return true
	}
	if t.failure != nil {
		d.flushes.failed(t.shipment.position, t.failure)
	}
	return false
}

// ready waits until an attempt may be made, and drops what is too old for it.
// It reports false if nothing is left, or if delivery is stopped.
func (t *transfer) ready() bool {
	d := t.delivery
	for d.ctx.Err() == nil {
		if t.expire(); t.load.points() == 0 {
			return false
		}
		if t.isOver(0) {
			return false
		}
		wait := d.pacer.start()
		if wait == 0 {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-d.ctx.Done():
			timer.Stop()
		}
	}
	return false
}

// expire drops what is too old of the load.
func (t *transfer) expire() {
	maxAge := t.delivery.config.maxAge
	if maxAge == 0 {
		return
	}
	points := t.load.expire(time.Now().Add(-maxAge))
	if points == 0 {
		return
	}
	err := fmt.Errorf("%w: %v", errTooOld, maxAge)
	if t.failure != nil {
		err = fmt.Errorf("%w; the last attempt failed: %w", err, t.failure)
	}
	t.drop(points, queue.ReasonAge, err)
}

// attempt makes one attempt and, if it is worth another one, waits until it is
// time for that. It reports whether all has ended.
func (t *transfer) attempt() (ended bool) {
	d := t.delivery
	if t.attempts++; t.attempts == 1 {
		t.first = time.Now()
	} else {
		d.retries.Add(1)
		d.telemetry.retried()
	}
	v := t.sender.attempt(t.load)
	t.last, t.result = time.Now(), v.err
	switch {
	case v.err == nil:
		t.shipment.export(t.load.points())
		return true
	case v.accepted:
		t.accept(v)
		return true
	case d.ctx.Err() != nil:
		t.result = context.Cause(d.ctx) // it may be the stop that made the attempt fail
		return false
	case v.helps && d.config.retryDisabled && d.leavesTheRest():
		t.failure = v.err
		d.stop(errRetryOff)
		return false
	case !v.helps || d.config.retryDisabled:
		t.drop(t.load.points(), queue.ReasonPermanent, v.err)
		return true
	}
	t.failure = v.err
	wait := max(t.delays.NextBackOff(), min(v.after, d.config.retry.MaxInterval), d.pacer.wait())
	if t.isOver(wait) {
		return true
	}
	if t.attempts == 1 {
		d.report(fmt.Errorf("asyncmetric: export of %d data points failed, trying again: %w", t.load.points(), v.err))
	}
	t.backOff(wait)
	return false
}

// leavesTheRest reports whether what fails now can be left to the next process:
// trying all that is queued once and then dropping it is not what a shutdown
// while the backend is away should do to a durable queue.
func (d *delivery) leavesTheRest() bool {
	select {
	case <-d.closing:
		return d.queue.Durable()
	default:
		return false
	}
}

// isOver drops the load if another attempt after a wait would come too late.
func (t *transfer) isOver(wait time.Duration) bool {
	limit := t.delivery.config.retry.MaxElapsedTime
	if limit == 0 || t.failure == nil || time.Since(t.first)+wait <= limit {
		return false
	}
	t.drop(t.load.points(), queue.ReasonElapsed, t.failure)
	return true
}

// accept ends a load that the server took but for some of its points.
func (t *transfer) accept(v verdict) {
	points := t.load.points()
	rejected := min(points, v.rejected)
	t.shipment.export(points - rejected)
	if rejected > 0 {
		t.drop(rejected, queue.ReasonPermanent, v.err)
		return
	}
	t.result = nil
	err := fmt.Errorf("asyncmetric: exported, with a warning: %w", v.err)
	t.delivery.flushes.failed(t.shipment.position, err)
	t.delivery.report(err)
}

// drop ends points of the load without export.
func (t *transfer) drop(points int, reason DropReason, err error) {
	drop := Drop{Points: points, Reason: reason, Err: err}
	t.shipment.drop(drop)
	t.delivery.flushes.failed(t.shipment.position, dropError(drop))
	t.delivery.drops.report(drop)
}

// backOff waits before the next attempt, but not for a ForceFlush or Shutdown
// that has just begun to wait for the load: then the delays start anew. It ends
// early when delivery is stopped.
func (t *transfer) backOff(wait time.Duration) {
	s, d := t.sender, t.delivery
	s.backingOff.Store(&backingOff{until: time.Now().Add(wait), err: messageOf(t.failure)})
	defer s.backingOff.Store(nil)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for d.ctx.Err() == nil {
		next := d.flushes.untilNext()
		if newest := d.flushes.newest(t.shipment.position); newest > s.hurried {
			s.hurried = newest
			t.delays.Reset()
			return
		}
		select {
		case <-timer.C:
			return
		case <-next.Done():
		}
	}
}
