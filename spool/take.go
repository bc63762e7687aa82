package spool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// maxExpired is how many records that are too old one transaction drops.
const maxExpired = 1000

var errTooOld = errors.New("accepted longer ago than WithMaxAge allows")

// A readOp is what Take waits for: a record.
type readOp struct {
	entry  *entry
	record []byte
	err    error
	done   chan struct{} // closed by the writer when the rest has been set
}

// Take implements [queue.Queue]. It reads one record, and waits for that as
// long as ctx allows. A record that cannot be read back is dropped, with
// [queue.ReasonCorrupt], one that is too old with [queue.ReasonAge]; the next
// one is handed out instead.
func (q *Queue) Take(ctx context.Context, limit queue.Limit) (queue.Entry, error) {
	defer q.tell()
	select {
	case q.taking <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-q.taking }()
	for {
		e, err := q.hold(ctx)
		if err != nil {
			return nil, err
		}
		if e.collection == nil {
			again, err := q.readHeld(ctx, e)
			if err != nil {
				return nil, err
			}
			if again {
				continue
			}
		}
		return q.hand(e, limit.Admits(e.collection, e.points))
	}
}

// hold returns the oldest entry that waits, and keeps the writer from it. Those
// that are too old it drops.
func (q *Queue) hold(ctx context.Context) (*entry, error) {
	defer q.endTurn()
	for {
		e, wait, err := q.tryHold()
		if wait == nil {
			return e, err
		}
		if err := wait(ctx); err != nil {
			return nil, err
		}
	}
}

// tryHold returns what to wait for where there is nothing to hold yet.
func (q *Queue) tryHold() (e *entry, wait func(context.Context) error, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e = q.ledger.first
	switch {
	case q.stopping, e == nil && q.sealed && q.begun == 0:
		return nil, nil, queue.ErrClosed
	case e == nil:
		return nil, nil, queue.ErrEmpty
	case e.state != waiting:
		q.takeWaits = true
		return nil, waitFor(q.turn), nil
	}
	if expired := q.expired(); len(expired) > 0 {
		return nil, q.dropEntries(expired, queue.ReasonAge, errTooOld).wait, nil
	}
	e.state = held
	return e, nil, nil
}

func waitFor(c <-chan struct{}) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-c:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// endTurn lets the writer go on that yields to Take.
func (q *Queue) endTurn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.takeWaits {
		q.takeWaits = false
		q.nudge()
	}
}

// expired returns the oldest entries if they are too old. The caller holds the
// lock.
func (q *Queue) expired() (entries []*entry) {
	if q.config.maxAge == 0 {
		return nil
	}
	before := time.Now().Add(-q.config.maxAge)
	for e := q.ledger.first; e != nil && len(entries) < maxExpired; e = e.next {
		if e.state != waiting || !e.newest.Before(before) {
			break
		}
		entries = append(entries, e)
	}
	return entries
}

// readHeld sets the collection of an entry that Take holds. Where that cannot
// be done, the entry is let go or ended, and it returns true if there may be
// another one.
func (q *Queue) readHeld(ctx context.Context, e *entry) (again bool, err error) {
	r := &readOp{entry: e, done: make(chan struct{})}
	q.mu.Lock()
	q.nextRead = r
	q.nudge()
	q.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.nextRead == r {
			q.nextRead = nil
		}
		e.state = waiting
		return false, ctx.Err()
	}
	rm, err := r.collection()
	switch {
	case err == nil:
		e.collection = rm
		return false, nil
	case errors.Is(err, frame.ErrCorrupt), errors.Is(err, errDamaged):
		q.mu.Lock()
		d := q.dropEntries([]*entry{e}, queue.ReasonCorrupt, fmt.Errorf("the record at position %d: %w", e.position, err))
		q.mu.Unlock()
		return true, d.wait(ctx)
	default:
		q.mu.Lock()
		defer q.mu.Unlock()
		e.state = waiting
		return false, fmt.Errorf("spool: folder %s: reading the record at position %d: %w", q.dir, e.position, err)
	}
}

// collection returns what was read.
func (r *readOp) collection() (*metricdata.ResourceMetrics, error) {
	if r.err != nil {
		return nil, r.err
	}
	rm, err := frame.DecodeCollection(r.record, frame.MaxSize)
	if errors.Is(err, frame.ErrVersion) { // a newer release would have written the index as well
		err = fmt.Errorf("%w: %w", frame.ErrCorrupt, err)
	}
	if err != nil {
		return nil, err
	}
	if points := batch.Points(rm); points != r.entry.points {
		return nil, fmt.Errorf("%w: it has %d data points, should have %d", frame.ErrCorrupt, points, r.entry.points)
	}
	return rm, nil
}

// hand hands out an entry that Take holds, or lets it go.
func (q *Queue) hand(e *entry, admitted bool) (queue.Entry, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !admitted {
		e.state = waiting
		return nil, queue.ErrDeclined
	}
	q.ledger.hand(e)
	if len(q.line) > 0 {
		q.full = false
		q.nudge()
	}
	return e, nil
}
