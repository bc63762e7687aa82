package jetstream

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// arrivalTime is how long Take waits for what this Queue has put to come back
// from the server. It may be for another relay.
const arrivalTime = 250 * time.Millisecond

// Take implements [queue.Queue]. Of the partitions that this relay delivers it
// hands out the entry with the lowest position that has been received. Where
// there is none it returns [queue.ErrEmpty]; if something waits that this Queue
// has put, it gives the server a moment to send it, 250 ms at most.
func (q *Queue) Take(ctx context.Context, limit queue.Limit) (queue.Entry, error) {
	defer q.tell()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	e, arrival, err := q.tryTake(limit)
	if arrival == nil {
		return e, err
	}
	timer := time.NewTimer(arrivalTime)
	defer timer.Stop()
	for {
		select {
		case <-arrival:
		case <-timer.C:
			return nil, queue.ErrEmpty
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if e, arrival, err = q.tryTake(limit); arrival == nil {
			return e, err
		}
	}
}

// tryTake is Take, but returns what to wait for where something has to arrive.
func (q *Queue) tryTake(limit queue.Limit) (queue.Entry, <-chan struct{}, error) {
	for {
		taken, next, arrival, err := q.takeDecoded(limit)
		switch {
		case taken != nil:
			return taken, nil, nil
		case next == nil:
			return nil, arrival, err
		}
		q.decode(next)
	}
}

// takeDecoded takes the next entry. If it is not decoded yet, which takes time, it
// returns it as next; if one has to arrive, what to wait for.
func (q *Queue) takeDecoded(limit queue.Limit) (taken, next *entry, arrival <-chan struct{}, _ error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, err := q.next()
	switch {
	case errors.Is(err, queue.ErrEmpty) && q.ledger.waiting > 0:
		return nil, nil, q.arrival, nil
	case err != nil:
		return nil, nil, nil, err
	case e.collection == nil:
		return nil, e, nil, nil
	case !limit.Admits(e.collection, e.points):
		return nil, nil, nil, queue.ErrDeclined
	}
	q.countMissing(q.ledger.see(e))
	q.ledger.take(e)
	return e, nil, nil, nil
}

// decode decodes an entry that is held, or rejects it: its reader sets it aside
// then.
func (q *Queue) decode(e *entry) {
	q.mu.Lock()
	data := e.data
	q.mu.Unlock()
	rm, err := frame.DecodeCollection(data, maxData)
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.state != held || e.collection != nil {
		return // it was let go, or somebody else has decoded it
	}
	points := 0
	if err == nil {
		points = batch.Points(rm)
	}
	if e.counted && points == e.points || !e.counted && points > 0 {
		e.collection, e.data, e.points = rm, nil, points
		return
	}
	if e.counted { // something else is in its place
		err = cmp.Or(err, ErrLost)
		q.drop([]*entry{e}, queue.ReasonCorrupt, err)
	}
	q.countMissing(q.ledger.reject(e, err))
}

// countMissing counts points that should have come, and have not. The caller
// holds the lock.
func (q *Queue) countMissing(points int) {
	if points > 0 {
		q.refuse(queue.Drop{Points: points, Reason: queue.ReasonOverflow, Err: q.config.inStream(errOverflow)})
	}
}

// next returns the entry to hand out. The caller holds the lock.
func (q *Queue) next() (*entry, error) {
	l := &q.ledger
	if q.ctx.Err() != nil {
		return nil, queue.ErrClosed
	}
	for {
		e, lapsed := l.head(time.Now())
		switch {
		case lapsed >= 0:
			l.letGo(lapsed) // the server may have given it to someone else
		case q.sealed && l.waiting == 0 && q.putting == 0:
			return nil, queue.ErrClosed
		case e == nil:
			return nil, queue.ErrEmpty
		default:
			return e, nil
		}
	}
}
