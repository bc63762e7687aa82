package jetstream

import (
	"fmt"

	"github.com/asyncmetric/asyncmetric/queue"
)

// maxNotices is how many notices are kept while there is no observer. Beyond,
// drops are added up for each reason, and errors are counted.
const maxNotices = 64

// A notice is what the observer has to be told: a drop, or else an error.
type notice struct {
	drop queue.Drop
	err  error
}

// noteDrop is told of by the next announce. The caller holds the lock.
func (q *Queue) noteDrop(points int, reason queue.DropReason, err error) {
	d := queue.Drop{Points: points, Reason: reason, Err: q.config.inStream(err)}
	if q.observed == nil && len(q.notices) >= maxNotices {
		for i := range q.notices {
			if n := &q.notices[i]; n.err == nil && n.drop.Reason == d.Reason {
				n.drop.Points += d.Points
				return
			}
		}
	}
	q.notices = append(q.notices, notice{drop: d})
}

// fail tells the observer of an error. The caller does not hold the lock.
func (q *Queue) fail(err error) {
	q.mu.Lock()
	if q.observed == nil && len(q.notices) >= maxNotices {
		q.untold++
	} else {
		q.notices = append(q.notices, notice{err: q.config.inStream(err)})
	}
	q.mu.Unlock()
	q.announce()
}

// announce tells the observer what it has not been told yet. The caller does
// not hold the lock.
func (q *Queue) announce() {
	observer, notices := q.takeNotices()
	for _, n := range notices {
		if n.err != nil {
			observer.Failed(n.err)
		} else {
			observer.Dropped(n.drop)
		}
	}
}

// takeNotices returns what there is to tell, and to whom. It returns nothing
// as long as there is nobody.
func (q *Queue) takeNotices() (*queue.Observer, []notice) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.observed == nil {
		return nil, nil
	}
	notices := q.notices
	if q.untold > 0 {
		notices = append(notices, notice{err: q.config.inStream(fmt.Errorf("%d more errors before these were told", q.untold))})
	}
	q.notices, q.untold = nil, 0
	return q.observed, notices
}
