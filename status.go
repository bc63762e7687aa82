package asyncmetric

import "time"

// Status is what an [Exporter] is doing, for people who look at it. Package
// statusz makes a page of it.
type Status struct {
	// Name tells the exporters of a process apart. It is the attribute
	// otel.component.name of the exporter's metrics.
	Name string
	// State is what it is doing.
	State State
	// RetryAt is when the worker sends a batch again that failed, and RetryError
	// how it failed. They are zero unless State is StateBackingOff, or StateDraining
	// during a back-off. Where several replicas wait, they are of the one that waits
	// for the shortest time.
	RetryAt    time.Time
	RetryError string
	// Stats are the counters and sizes.
	Stats Stats
	// Capacity is how many data points may wait; zero if the queue is not
	// bounded in data points.
	Capacity int
	// CapacityBytes is how many bytes may wait; zero if the queue is not bounded in
	// bytes.
	CapacityBytes int64
	// CountsBytes reports whether the queue knows how many bytes there are, so that
	// Stats has them. The queues in memory and on disk do, and a stream that others
	// use as well does not.
	CountsBytes bool
	// BatchLimit is how many data points a request may have, as learnt from requests
	// that were refused as too large; zero if none was, or if larger ones get through
	// again.
	BatchLimit int
	// Errors are the last ones that the error handler was given, at most 16,
	// the newest first.
	Errors []ReportedError
	// Settings are the inner exporter and the options that have a value to show, as
	// they are in effect.
	Settings []Setting
}

// A State is what an [Exporter] is doing.
type State string

// The states of an [Exporter].
const (
	// StateIdle: nothing is queued.
	StateIdle State = "idle"
	// StateDelivering: the inner exporter is at work, or about to be.
	StateDelivering State = "delivering"
	// StateBackingOff: a batch failed and waits for its next attempt. Other replicas
	// may be at work.
	StateBackingOff State = "backing off"
	// StateDraining: Shutdown has been called and has not ended.
	StateDraining State = "draining"
	// StateShutDown: the exporter has ended.
	StateShutDown State = "shut down"
)

// Status returns what the exporter is doing at this instant. As with Stats, it
// does not wait for the inner exporter.
func (e *Exporter) Status() Status {
	q, info := e.queue.Stats(), e.queue.Info()
	s := Status{
		Name:          string(e.name),
		State:         StateIdle,
		Stats:         e.statsOf(q),
		Capacity:      info.MaxPoints,
		CapacityBytes: info.MaxBytes,
		CountsBytes:   info.CountsBytes,
		Errors:        e.reports.list(),
		Settings:      e.config.settings(e.inner),
	}
	_, s.BatchLimit = e.worker.inflight.batchLimit()
	if e.worker.hasEnded() {
		s.State = StateShutDown
		return s
	}
	s.RetryAt, s.RetryError = e.worker.nextRetry()
	switch {
	case e.isDown.Load():
		s.State = StateDraining
	case !s.RetryAt.IsZero():
		s.State = StateBackingOff
	case s.Stats.Queued > 0:
		s.State = StateDelivering
	}
	return s
}

// nextRetry returns when a sender tries again next, and why it has to.
func (w *worker) nextRetry() (at time.Time, err string) {
	for _, s := range w.senders {
		if b := s.backingOff.Load(); b != nil && (at.IsZero() || b.until.Before(at)) {
			at, err = b.until, b.err
		}
	}
	return at, err
}
