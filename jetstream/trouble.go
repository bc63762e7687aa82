package jetstream

import (
	"errors"
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
	case errors.Is(err, errPinLost), errors.Is(err, errRemade):
		return false // it will look again
	case (isPassing(err) || errors.Is(err, errInterrupted)) && now.Sub(t.since) < 2*attemptTimeout:
		return false
	case t.said == err.Error():
		return false
	}
	t.said = err.Error()
	return true
}
