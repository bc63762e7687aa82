package spool

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

// noteDrop and noteFailure are told of by the next call that ends. The keeper
// does not tell itself, as the observer may call Put. The caller holds the
// lock.
func (q *Queue) noteDrop(d queue.Drop) {
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

func (q *Queue) noteFailure(err error) {
	if q.observed == nil && len(q.notices) >= maxNotices {
		q.untold++
		return
	}
	q.notices = append(q.notices, notice{err: q.inFolder(err)})
}

// inFolder says of an error which folder it concerns.
func (q *Queue) inFolder(err error) error { return fmt.Errorf("spool: folder %s: %w", q.dir, err) }

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
		notices = append(notices, notice{err: q.inFolder(fmt.Errorf("%d more errors before these were told", q.untold))})
	}
	q.notices, q.untold = nil, 0
	return q.observed, notices
}
