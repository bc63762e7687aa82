package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

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
func (q *Queue) Take(ctx context.Context, want func(*metricdata.ResourceMetrics) bool) (queue.Entry, error) {
	defer q.announce()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	e, arrival, err := q.tryTake(want)
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
		if e, arrival, err = q.tryTake(want); arrival == nil {
			return e, err
		}
	}
}

// tryTake is Take, but returns what to wait for where something has to arrive.
func (q *Queue) tryTake(want func(*metricdata.ResourceMetrics) bool) (queue.Entry, <-chan struct{}, error) {
	for {
		taken, next, arrival, err := q.takeDecoded(want)
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
func (q *Queue) takeDecoded(want func(*metricdata.ResourceMetrics) bool) (taken, next *entry, arrival <-chan struct{}, _ error) {
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
	case want != nil && !want(e.collection):
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
	if e.own && points == e.points || !e.own && points > 0 {
		e.collection, e.data, e.points = rm, nil, points
		return
	}
	if e.own { // somebody has put something else in its place
		err = cmp.Or(err, ErrLost)
		q.noteDrop(e.points, queue.ReasonCorrupt, err)
		q.ledger.end(e, 0, e.points)
	}
	q.countMissing(q.ledger.reject(e, err))
}

// countMissing counts points that should have come, and have not. The caller
// holds the lock.
func (q *Queue) countMissing(points int) {
	if points > 0 {
		q.ledger.refuse(points)
		q.noteDrop(points, queue.ReasonOverflow, errOverflow)
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

// settle is Settle of an entry.
func (q *Queue) settle(e *entry, exported, dropped int) error {
	defer q.announce()
	reply, err := q.endTaken(e, exported, dropped)
	if err != nil || reply == "" {
		return err
	}
	err = errSilent
	switch {
	case !q.isSilent(e.partition):
		err = q.ack(e)
	case q.js.Conn().IsConnected():
		_ = q.js.Conn().Publish(reply, positive) // there may be many, and each would wait
	}
	if err != nil {
		q.nak(q.stop(e))
		return q.config.inStream(fmt.Errorf("acknowledging the message at position %d, it may be delivered again: %w", e.position, err))
	}
	q.confirm(e)
	return nil
}

var errSilent = errors.New("the one before was not confirmed")

func (q *Queue) isSilent(partition int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ledger.parts[partition].silent
}

// confirm notes that an end was acknowledged.
func (q *Queue) confirm(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ledger.confirm(e)
	q.ledger.parts[e.partition].silent = false
}

// stop lets go of a partition, of which an end could not be acknowledged: who
// takes over would deliver what is behind it again, too. It returns where to give
// it back, which is sent when there is a server again.
func (q *Queue) stop(e *entry) (replies []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.base == q.ledger.base {
		replies = q.ledger.letGo(e.partition)
		q.ledger.parts[e.partition].silent = true
	}
	return replies
}

// endTaken checks the numbers, enters the end, and returns where to send the
// acknowledgement, nowhere if the message is gone: in a stream of the same name
// that was made since, the number belongs to another one.
func (q *Queue) endTaken(e *entry, exported, dropped int) (reply string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.state != inFlight {
		return "", fmt.Errorf("jetstream: the collection at position %d has been settled before", e.position)
	}
	if exported < 0 || dropped < 0 || exported+dropped != e.points {
		return "", fmt.Errorf("jetstream: %d exported and %d dropped data points do not make up the %d of the collection",
			exported, dropped, e.points)
	}
	q.ledger.end(e, exported, dropped)
	if e.base != q.ledger.base {
		return "", nil // its stream was deleted
	}
	q.ledger.miss(e)
	return e.reply, nil
}

// ackTimeout is how long Settle waits for a server that does not answer, all
// attempts together, and ackAttempt one of them.
const (
	ackTimeout = 2 * time.Second
	ackAttempt = 500 * time.Millisecond
)

// positive is what acknowledges a message.
var positive = []byte("+ACK")

// ack acknowledges a message and waits for the server to confirm it. Not in a
// stream that was made since: the number belongs to another one there.
func (q *Queue) ack(e *entry) error {
	end := time.Now().Add(ackTimeout)
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		reply, ok := q.replyOf(e)
		if !ok {
			return nil
		}
		_, err := q.js.Conn().Request(reply, positive, ackAttempt)
		if err == nil || !isPassing(err) || time.Now().Add(pause).After(end) {
			return err
		}
		_ = sleep(context.Background(), pause)
	}
}

// replyOf returns where to acknowledge an entry, if it is of this stream.
func (q *Queue) replyOf(e *entry) (reply string, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return e.reply, e.base == q.ledger.base
}
