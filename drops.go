package asyncmetric

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/asyncmetric/asyncmetric/queue"
)

// overflowReportInterval is the least time between two reports of overflow to
// the error handler. A queue that is full stays so for long.
const overflowReportInterval = 10 * time.Second

// drops tells the application of data that is dropped: the hook of every
// drop, the error handler of those that no caller gets to know.
type drops struct {
	hook     func(Drop)
	handler  otel.ErrorHandler
	shutdown atomic.Int64 // data points dropped with ReasonShutdown

	mu         sync.Mutex
	reported   time.Time // when overflow was reported last
	unreported int       // data points dropped by overflow since then
}

func newDrops(c *config) *drops {
	return &drops{hook: c.onDrop, handler: c.errorHandler}
}

// byQueue is told of every drop that the queue decides on.
func (d *drops) byQueue(drop Drop) {
	if drop.Reason == queue.ReasonShutdown {
		drop.Err = errDrainOver // why it came to that
		d.announce(drop)        // Shutdown returns it
		return
	}
	d.announce(drop)
	if drop.Reason == queue.ReasonOverflow {
		drop.Points = d.unreportedOverflow(drop.Points)
	}
	if drop.Points > 0 {
		d.handler.Handle(dropError(drop))
	}
}

// announce calls the hook.
func (d *drops) announce(drop Drop) {
	if drop.Reason == queue.ReasonShutdown {
		d.shutdown.Add(int64(drop.Points))
	}
	d.hook(drop)
}

// unreportedOverflow adds points to those that have not been reported, and
// returns how many to report now, if any.
func (d *drops) unreportedOverflow(points int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unreported += points
	now := time.Now()
	if !d.reported.IsZero() && now.Sub(d.reported) < overflowReportInterval {
		return 0
	}
	points, d.unreported, d.reported = d.unreported, 0, now
	return points
}

// reportRest reports the overflow that has not been reported yet.
func (d *drops) reportRest() {
	d.mu.Lock()
	points := d.unreported
	d.unreported = 0
	d.mu.Unlock()
	if points > 0 {
		d.handler.Handle(dropError(Drop{Points: points, Reason: queue.ReasonOverflow, Err: queue.ErrFull}))
	}
}

// dropError is what the error handler, ForceFlush and Shutdown say of a drop.
func dropError(d Drop) error {
	return fmt.Errorf("asyncmetric: %d data points dropped (%s): %w", d.Points, d.Reason, d.Err)
}
