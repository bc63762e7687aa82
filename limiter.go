package asyncmetric

import (
	"fmt"
	"time"
)

// reportInterval is the least time between two reports of one kind, such as drops
// for one reason: a queue that is full stays so, and where one collection is too
// old, so are many.
const reportInterval = 10 * time.Second

// A limiter lets a report of each kind through at once, and adds up those that
// follow too soon. It has no lock of its own.
type limiter struct{ kinds []*suppressed }

// suppressed is what has not been reported of one kind.
type suppressed struct {
	kind   string
	count  int       // of reports
	points int       // that were dropped with them
	last   report    // the latest of them
	next   time.Time // when the next one may be made
}

// A report makes an error of what is reported at once: for drops, of their data
// points.
type report func(points int) error

// A line makes the error to report. It calls code of others, the text of an
// error, and so is called without a lock.
type line func() error

// add returns the report to make now, nil if it has to wait.
func (l *limiter) add(now time.Time, kind string, points int, last report) line {
	s := l.of(kind)
	s.count++
	s.points += points
	s.last = last
	if now.Before(s.next) {
		return nil
	}
	return s.take(now)
}

func (l *limiter) of(kind string) *suppressed {
	for _, s := range l.kinds {
		if s.kind == kind {
			return s
		}
	}
	s := &suppressed{kind: kind}
	l.kinds = append(l.kinds, s)
	return s
}

// take returns the reports that are due.
func (l *limiter) take(now time.Time) (due []line) {
	for _, s := range l.kinds {
		if s.count > 0 && !now.Before(s.next) {
			due = append(due, s.take(now))
		}
	}
	return due
}

// rest returns all reports that wait, due or not.
func (l *limiter) rest() (all []line) {
	for _, s := range l.kinds {
		if s.count > 0 {
			all = append(all, s.take(s.next))
		}
	}
	return all
}

// next returns when the next report is due, the zero time if none waits.
func (l *limiter) next() (next time.Time) {
	for _, s := range l.kinds {
		if s.count > 0 && (next.IsZero() || s.next.Before(next)) {
			next = s.next
		}
	}
	return next
}

// take returns the report of all that was suppressed.
func (s *suppressed) take(now time.Time) line {
	all := *s
	*s = suppressed{kind: s.kind, next: now.Add(reportInterval)}
	return func() error {
		err := all.last(all.points)
		if all.count > 1 {
			err = fmt.Errorf("%w (the last of %d since the last report)", err, all.count)
		}
		return err
	}
}
