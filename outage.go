package asyncmetric

import (
	"fmt"
	"time"

	"github.com/asyncmetric/asyncmetric/queue"
)

// quietTime is how long a new outage is not reported after the last one was over,
// in case it is as short: a backend that fails again and again is not worth two
// lines each time.
const quietTime = time.Minute

// An OutageError tells the error handler of a time in which exports fail and are
// retried: when it begins (but within a minute after the last one only if it
// lasts), after 1 minute, 10 minutes, 1 hour and each further
// hour, and when everything that waited at its end has been delivered. With
// [WithReplicas] it begins when a batch has failed more than three times, so with
// more than one exporter. Use errors.As to tell it from other errors.
type OutageError struct {
	// Exporter is the name of the exporter.
	Exporter string
	// Duration is how long it has lasted.
	Duration time.Duration
	// Over reports whether it is over.
	Over bool
	// Err is the error of the last attempt that failed; nil when it is over.
	Err error

	text string
}

// Error returns the text of the error.
func (e *OutageError) Error() string {
	text := fmt.Sprintf("asyncmetric: exporter %s: %s", e.Exporter, e.text)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *OutageError) Unwrap() error { return e.Err }

// An outage is the one under way, if there is one. The lock of reports protects
// it.
type outage struct {
	began    time.Time // zero: there is none
	points   int       // of the batch that failed first
	failure  error     // of the last attempt that failed
	advice   string    // what has to be mended; empty if that is not known
	before   queue.Stats
	last     uint64 // the position up to which all must be delivered; 0 while exports fail
	reported bool
	next     time.Time // when it has to be reported; zero for not at all
	quiet    time.Time // until then a new one is not reported
}

// failed notes an attempt that failed and will be repeated, and what has to be
// mended, where that is known.
func (r *reports) failed(points int, err error, advice string) {
	stats, now := r.stats(), time.Now()
	r.mu.Lock()
	o := &r.outage
	if o.began.IsZero() {
		*o = outage{began: now, points: points, before: stats, next: later(now, o.quiet), quiet: o.quiet}
	}
	o.failure, o.advice, o.last = err, advice, 0
	line := o.take(now, stats, r.name)
	r.wake(o.next)
	r.mu.Unlock()
	if line != nil {
		r.handle(line)
	}
}

// answered notes that the destination took a batch, or refused it for good.
func (r *reports) answered() {
	if !r.hasOutage() {
		return
	}
	last := r.stats().Last
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outage.last == 0 {
		r.outage.last = max(1, last)
	}
}

// settled notes that the worker has settled what it had in flight.
func (r *reports) settled() {
	if !r.hasOutage() {
		return
	}
	if line := r.endOutage(time.Now(), r.stats()); line != nil {
		r.handle(line)
	}
}

func (r *reports) hasOutage() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.outage.began.IsZero()
}

// endOutage ends the outage if what waited at its end has been delivered, and
// returns the report of that.
func (r *reports) endOutage(now time.Time, stats queue.Stats) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := &r.outage
	if o.last == 0 || !stats.Passed(o.last) {
		return nil
	}
	over := *o
	*o = outage{quiet: o.quiet}
	if !over.reported {
		return nil
	}
	o.quiet = now.Add(quietTime)
	text := fmt.Sprintf("the outage is over after %v: %s, %s",
		now.Sub(over.began).Round(time.Millisecond),
		counted(int(stats.Exported-over.before.Exported), "was delivered", "were delivered"),
		counted(int(stats.Dropped-over.before.Dropped), "was lost", "were lost"))
	return &OutageError{
		Exporter: string(r.name), Duration: now.Sub(over.began), Over: true,
		text: text + resolution(over.before, stats, ", resolution was lost: %s became part of others"),
	}
}

// resolution returns what coalescing has done since before, as text; nothing if
// that is nothing.
func resolution(before, stats queue.Stats, format string) string {
	if stats.Coalesced == before.Coalesced {
		return ""
	}
	return fmt.Sprintf(format, count(int(stats.Coalesced-before.Coalesced)))
}

// take returns the report that is due, nil if none is, and says in next when the
// next one will be.
func (o *outage) take(now time.Time, stats queue.Stats, name named) error {
	if o.began.IsZero() || now.Before(o.next) {
		return nil
	}
	age := now.Sub(o.began)
	if o.reported && (o.last > 0 || stats.Queued == 0) { // exports succeed, or there is nothing to export
		o.next = o.began.Add(nextReminder(age))
		return nil
	}
	line := &OutageError{Exporter: string(name), Duration: age, Err: o.failure}
	if !o.reported {
		line.text = fmt.Sprintf("export of %s failed and is retried", count(o.points))
	} else {
		line.text = fmt.Sprintf("exports have failed for %v: %s, %s", age.Round(time.Second),
			counted(stats.Queued, "waits", "wait"),
			counted(int(stats.Dropped-o.before.Dropped), "is lost", "are lost")) +
			resolution(o.before, stats, ", resolution is being lost: %s became part of others")
	}
	if o.advice != "" {
		line.text += "; " + o.advice
	}
	o.reported = true
	o.next = o.began.Add(nextReminder(age))
	return line
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
