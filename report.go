package asyncmetric

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/asyncmetric/asyncmetric/internal/contain"
	"github.com/asyncmetric/asyncmetric/internal/observe"
	"github.com/asyncmetric/asyncmetric/queue"
)

// A Drop says that data points ended without being exported, and why.
type Drop = queue.Drop

// A DropReason is why data points were dropped.
type DropReason = queue.DropReason

// The reasons for a [Drop].
const (
	// ReasonOverflow: the queue was full.
	ReasonOverflow = queue.ReasonOverflow
	// ReasonPermanent: the inner exporter failed in a way that is not retried,
	// or retries are off, or a durable queue cannot express the data.
	ReasonPermanent = queue.ReasonPermanent
	// ReasonElapsed: MaxElapsedTime of [Retry] would have been exceeded.
	ReasonElapsed = queue.ReasonElapsed
	// ReasonAge: the data was too old.
	ReasonAge = queue.ReasonAge
	// ReasonShutdown: Shutdown had to end before the data was delivered.
	ReasonShutdown = queue.ReasonShutdown
	// ReasonCorrupt: what a durable queue had stored could not be read back.
	ReasonCorrupt = queue.ReasonCorrupt
)

// A ReportedError is an error that the error handler was given.
type ReportedError struct {
	Time time.Time
	// Message is the text of the error, cut after 2048 bytes. It may come from
	// the server, and should not be trusted.
	Message string
}

// maxRecent is how many errors are kept for Status.
const maxRecent = 16

// reports tell the application what no caller hears: the hook of every drop, the
// error handler of what deserves a line. What is due later is reported by a
// timer, which close ends. The hook and the handler are called without a lock.
type reports struct {
	name    named
	handler otel.ErrorHandler
	hook    func(Drop)
	metrics *observe.Metrics
	stats   func() queue.Stats

	telling chan struct{} // capacity 1: holds a value while the timer reports

	mu      sync.Mutex
	recent  []ReportedError // the newest last
	limited limiter
	outage  outage
	timer   *time.Timer // nil until it is needed
	wakeAt  time.Time   // of the timer; zero if it does not run
	closed  bool
}

// dropped counts a drop in the metrics and calls the hook, after the queue has
// counted it.
func (r *reports) dropped(d Drop) {
	d.Exporter = string(r.name)
	r.metrics.Dropped(d.Points, string(d.Reason))
	if err := contain.Call("the function of WithOnDrop", func() error { r.hook(d); return nil }); err != nil {
		r.reportLimited("a hook", err)
	}
}

// reportDrop tells the error handler of a drop.
func (r *reports) reportDrop(d Drop) {
	d.Exporter = string(r.name)
	r.limit(string(d.Reason), d.Points, func(points int) error {
		d.Points = points
		return dropError(d)
	})
}

// reportLimited tells the error handler of an error that may come with every
// collection.
func (r *reports) reportLimited(kind string, err error) {
	r.limit(kind, 0, func(int) error { return r.name.errorf("%s: %w", kind, err) })
}

// limit reports at once, or, where that is too soon after another report of its
// kind, together with those that follow.
func (r *reports) limit(kind string, points int, last report) {
	r.mu.Lock()
	line := r.limited.add(time.Now(), kind, points, last)
	r.wake(r.limited.next())
	r.mu.Unlock()
	if line != nil {
		r.handle(line())
	}
}

// dropError is the error that stands for a drop.
func dropError(d Drop) error {
	return fmt.Errorf("asyncmetric: %s dropped (%s) by exporter %s: %w", count(d.Points), d.Reason, d.Exporter, d.Err)
}

// report tells the error handler of an error, which gets the name of the
// exporter.
func (r *reports) report(err error) { r.handle(r.name.errorf("%w", err)) }

// handle passes an error on and remembers it.
func (r *reports) handle(err error) {
	r.remember(err)
	failed := contain.Call("the error handler", func() error { r.handler.Handle(err); return nil })
	if failed != nil {
		r.remember(failed)
	}
}

func (r *reports) remember(err error) {
	report := ReportedError{Time: time.Now(), Message: contain.Text(err)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.recent) == maxRecent {
		r.recent = slices.Delete(r.recent, 0, 1)
	}
	r.recent = append(r.recent, report)
}

// list returns what is remembered, the newest first.
func (r *reports) list() []ReportedError {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(r.recent)
	slices.Reverse(list)
	return list
}

// wake makes the timer report at a time, or earlier. The caller holds the lock.
func (r *reports) wake(at time.Time) {
	if r.closed || at.IsZero() || !r.wakeAt.IsZero() && !at.Before(r.wakeAt) {
		return
	}
	r.wakeAt = at
	if r.timer == nil {
		r.timer = time.AfterFunc(time.Until(at), r.tell)
		return
	}
	r.timer.Reset(time.Until(at))
}

// tell is what the timer does: it reports what is due.
func (r *reports) tell() {
	r.telling <- struct{}{}
	defer func() { <-r.telling }()
	for _, line := range r.takeDue(time.Now()) {
		r.handle(line())
	}
}

// takeDue returns what is to be reported, and sets the timer for what comes
// next.
func (r *reports) takeDue(now time.Time) (due []line) {
	stats := r.stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.wakeAt = time.Time{}
	if err := r.outage.take(now, stats, r.name); err != nil {
		due = append(due, func() error { return err })
	}
	due = append(due, r.limited.take(now)...)
	r.wake(r.limited.next())
	r.wake(r.outage.next)
	return due
}

// close ends the timer, waits for it as long as ctx allows, and reports what has
// not been reported.
func (r *reports) close(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
	rest := r.limited.rest()
	r.mu.Unlock()
	select {
	case r.telling <- struct{}{}:
		<-r.telling
	case <-ctx.Done():
	}
	for _, line := range rest {
		r.handle(line())
	}
}
