package asyncmetric

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
)

// Status is what an [Exporter] is doing, for people who look at it. Package
// statusz makes a page of it.
type Status struct {
	// Name tells the exporters of a process apart. It is the attribute
	// otel.component.name of the exporter's metrics.
	Name string
	// State is what it is doing.
	State State
	// RetryAt is when the batch that failed is tried again, and RetryError how
	// it failed. They are zero unless State is StateBackingOff, or StateDraining
	// while a batch waits to be tried again. Where several replicas wait, they
	// are of the one whose turn comes first.
	RetryAt    time.Time
	RetryError string
	// Stats are the counters and sizes.
	Stats Stats
	// Capacity is how many data points may wait; zero if the queue is not
	// bounded in data points.
	Capacity int
	// Errors are the last ones that the error handler was given, at most 16,
	// the newest first.
	Errors []ReportedError
	// Settings are the options that are in effect, in the order of the
	// documentation.
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
	// StateBackingOff: a batch failed and waits to be tried again. Other replicas
	// may be at work meanwhile.
	StateBackingOff State = "backing off"
	// StateDraining: Shutdown has been called and has not ended.
	StateDraining State = "draining"
	// StateShutDown: the exporter has ended.
	StateShutDown State = "shut down"
)

// A ReportedError is an error that the error handler was given.
type ReportedError struct {
	Time time.Time
	// Message is the text of the error, cut after 2048 bytes. It may come from
	// the server, and should not be trusted.
	Message string
}

// A Setting is an option and its value, as text.
type Setting struct{ Name, Value string }

// Status returns what the exporter is doing at this instant. As with Stats, it
// does not wait for the inner exporter.
func (e *Exporter) Status() Status {
	q := e.queue.Stats()
	s := Status{
		Name:     e.name,
		State:    StateIdle,
		Stats:    e.statsOf(q),
		Capacity: q.Capacity,
		Errors:   e.reports.list(),
		Settings: e.config.settings(e.inner, e.queue),
	}
	if e.isEnded() {
		s.State = StateShutDown
		return s
	}
	s.RetryAt, s.RetryError = e.delivery.nextRetry()
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
func (d *delivery) nextRetry() (at time.Time, err string) {
	for _, s := range d.senders {
		if b := s.backingOff.Load(); b != nil && (at.IsZero() || b.until.Before(at)) {
			at, err = b.until, b.err
		}
	}
	return at, err
}

const (
	maxReports       = 16
	maxMessageLength = 2048
)

// reports is an error handler that remembers the last errors that it passed
// on.
type reports struct {
	next otel.ErrorHandler

	mu   sync.Mutex
	last []ReportedError // the newest last
}

// Handle implements otel.ErrorHandler.
func (r *reports) Handle(err error) {
	r.remember(err)
	r.next.Handle(err)
}

func (r *reports) remember(err error) {
	report := ReportedError{Time: time.Now(), Message: messageOf(err)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.last) == maxReports {
		r.last = slices.Delete(r.last, 0, 1)
	}
	r.last = append(r.last, report)
}

// list returns what is remembered, the newest first.
func (r *reports) list() []ReportedError {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(r.last)
	slices.Reverse(list)
	return list
}

// messageOf returns the text of err, which is code of the inner exporter and
// may panic.
func messageOf(err error) (message string) {
	if panicked := protect("the text of an error", func() error { message = err.Error(); return nil }); panicked != nil {
		message = fmt.Sprintf("%T, whose text cannot be had: it panics", err)
	}
	if len(message) > maxMessageLength {
		message = strings.ToValidUTF8(message[:maxMessageLength], "") + " [...]"
	}
	return message
}
