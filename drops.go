package asyncmetric

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/asyncmetric/asyncmetric/queue"
)

// dropReportInterval is the least time between two reports to the error handler
// of drops for a reason that goes on for long: a queue that is full stays so,
// and where one collection is too old, so are many.
const dropReportInterval = 10 * time.Second

// drops tells the application of data that is dropped: the hook of every
// drop, the error handler of those that no caller gets to know.
type drops struct {
	hook      func(Drop)
	handler   otel.ErrorHandler
	telemetry *telemetry
	shutdown  atomic.Int64 // data points dropped with ReasonShutdown

	overflow, age limiter
}

func newDrops(c *config, t *telemetry) *drops {
	return &drops{hook: c.onDrop, handler: c.errorHandler, telemetry: t}
}

// byQueue is told of every drop that the queue decides on.
func (d *drops) byQueue(drop Drop) {
	if drop.Reason == queue.ReasonShutdown {
		drop.Err = errDrainOver // why it came to that
		d.announce(drop)        // Shutdown returns it
		return
	}
	d.announce(drop)
	d.report(drop)
}

// announce counts a drop and calls the hook.
func (d *drops) announce(drop Drop) {
	if drop.Reason == queue.ReasonShutdown {
		d.shutdown.Add(int64(drop.Points))
	}
	d.telemetry.dropped(drop)
	d.hook(drop)
}

// report tells the error handler of a drop, of some reasons not each time.
func (d *drops) report(drop Drop) {
	if l := d.limiter(drop.Reason); l != nil {
		drop.Points = l.due(drop.Points)
	}
	if drop.Points > 0 {
		d.handler.Handle(dropError(drop))
	}
}

// limiter returns nil for a reason that is reported each time.
func (d *drops) limiter(reason DropReason) *limiter {
	switch reason {
	case queue.ReasonOverflow:
		return &d.overflow
	case queue.ReasonAge:
		return &d.age
	default:
		return nil
	}
}

// reportRest reports what has not been reported yet.
func (d *drops) reportRest() {
	if points := d.overflow.rest(); points > 0 {
		d.handler.Handle(dropError(Drop{Points: points, Reason: queue.ReasonOverflow, Err: queue.ErrFull}))
	}
	if points := d.age.rest(); points > 0 {
		d.handler.Handle(dropError(Drop{Points: points, Reason: queue.ReasonAge, Err: errTooOld}))
	}
}

// limiter adds up data points until it is time to report them.
type limiter struct {
	mu         sync.Mutex
	reported   time.Time // when that was last
	unreported int
}

// due adds points to those that have not been reported, and returns how many to
// report now, if any.
func (l *limiter) due(points int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unreported += points
	now := time.Now()
	if !l.reported.IsZero() && now.Sub(l.reported) < dropReportInterval {
		return 0
	}
	points, l.unreported, l.reported = l.unreported, 0, now
	return points
}

// rest returns how many points have not been reported, for them to be.
func (l *limiter) rest() (points int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	points, l.unreported = l.unreported, 0
	return points
}

// dropError is what the error handler, ForceFlush and Shutdown say of a drop.
func dropError(d Drop) error {
	return fmt.Errorf("asyncmetric: %d data points dropped (%s): %w", d.Points, d.Reason, d.Err)
}
