package jetstream

import (
	"context"
	"slices"

	"github.com/asyncmetric/asyncmetric/queue"
)

// A barrier is a call of Wait. Whoever ends the last entry in front of it, or
// closes the queue, removes it and sends the result.
type barrier struct {
	position uint64
	result   chan error // capacity 1: the sender never waits
}

// Wait implements [queue.Queue]. It waits for what this Queue has put or taken,
// whoever delivers it.
func (q *Queue) Wait(ctx context.Context, position uint64) error {
	b, err := q.raiseBarrier(position)
	if b == nil {
		return err
	}
	select {
	case err := <-b.result:
		return err
	case <-ctx.Done():
	}
	if q.lowerBarrier(b) {
		return ctx.Err()
	}
	return <-b.result // it was sent in the meantime
}

// raiseBarrier returns nil, and the result of Wait, if there is nothing to wait
// for.
func (q *Queue) raiseBarrier(position uint64) (*barrier, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch e := q.ledger.oldest(); {
	case e == nil || e.position > position:
		return nil, nil
	case q.ledger.closed:
		return nil, queue.ErrClosed
	}
	b := &barrier{position: position, result: make(chan error, 1)}
	q.ledger.barriers = append(q.ledger.barriers, b)
	return b, nil
}

// lowerBarrier removes b and reports whether it was still there.
func (q *Queue) lowerBarrier(b *barrier) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.ledger.barriers)
	q.ledger.barriers = slices.DeleteFunc(q.ledger.barriers, func(other *barrier) bool { return other == b })
	return len(q.ledger.barriers) < before
}

// passBarriers removes the barriers that nothing in front of them holds up, and
// at Close all.
func (l *ledger) passBarriers() {
	e := l.oldest()
	l.barriers = slices.DeleteFunc(l.barriers, func(b *barrier) bool {
		switch {
		case e == nil || e.position > b.position:
			b.result <- nil
		case l.closed:
			b.result <- queue.ErrClosed
		default:
			return false
		}
		return true
	})
}
