package jetstream

import (
	"errors"
	"slices"
	"time"
)

// An errorFilter decides which errors of a reader the observer hears of.
type errorFilter struct {
	since time.Time
	said  string
}

// isNews notes an error, and reports whether the observer should hear of it: of
// each error once, and of one that passes by itself only when it lasts, because
// changes of leaders belong to the life of a cluster.
func (f *errorFilter) isNews(err error, now time.Time) bool {
	if f.since.IsZero() {
		f.since = now
	}
	switch {
	case errors.Is(err, errPinLost):
		return false // the partition is another relay's
	case (isPassing(err) || isAny(err, errInterrupted, errBehind, errRemade)) && now.Sub(f.since) < 2*attemptTimeout:
		return false
	case f.said == err.Error():
		return false
	}
	f.said = err.Error()
	return true
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
