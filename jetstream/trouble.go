package jetstream

import (
	"errors"
	"slices"
	"time"
)

// A trouble is what keeps a reader from reading, and what has been said of it.
type trouble struct {
	since time.Time
	said  string
}

// isNews notes an error, and returns whether somebody should be told: of each
// once, and of what passes by itself only when it takes its time, as changes of
// leaders belong to the life of a cluster.
func (t *trouble) isNews(err error, now time.Time) bool {
	if t.since.IsZero() {
		t.since = now
	}
	switch {
	case errors.Is(err, errPinLost):
		return false // it is somebody else's
	case (isPassing(err) || isAny(err, errInterrupted, errBehind, errRemade)) && now.Sub(t.since) < 2*attemptTimeout:
		return false
	case t.said == err.Error():
		return false
	}
	t.said = err.Error()
	return true
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
