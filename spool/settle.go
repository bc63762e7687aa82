package spool

import (
	"context"
	"errors"
	"fmt"

	"github.com/asyncmetric/asyncmetric/queue"
)

// A settleOp is the end of entries that has to be recorded: one that is settled,
// or some that Take drops.
type settleOp struct {
	entries []*entry
	outcome queue.Outcome // of the only entry, if it is settled
	drop    *queue.Drop   // nil if the entry is settled
	result  chan error    // capacity 1: the sender never waits
}

// wait waits until the end is on disk. Take need not know that it could not be
// written: the observer hears of it.
func (e *settleOp) wait(ctx context.Context) error {
	select {
	case <-e.result:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dropEntries begins to drop entries that wait, in their order. The caller holds
// the lock.
func (q *Queue) dropEntries(entries []*entry, reason queue.DropReason, err error) *settleOp {
	drop := &queue.Drop{Reason: reason, Err: fmt.Errorf("spool: %w", err), Position: entries[0].position}
	for _, e := range entries {
		drop.Points += e.points
		e.state = settling
	}
	d := &settleOp{entries: entries, drop: drop, result: make(chan error, 1)}
	q.settleOps = append(q.settleOps, d)
	q.nudge()
	return d
}

// settle is Settle of an entry.
func (q *Queue) settle(e *entry, o queue.Outcome) error {
	defer q.tell()
	d, stopped, err := q.beginSettling(e, o)
	if err != nil {
		return err
	}
	if stopped {
		return q.settleLate(d)
	}
	return <-d.result
}

// beginSettling checks the outcome and hands the end to the writer, unless that
// has stopped.
func (q *Queue) beginSettling(e *entry, o queue.Outcome) (d *settleOp, stopped bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := e.ensureInFlight(); err != nil {
		return nil, false, err
	}
	if o.Exported < 0 || o.Dropped < 0 || o.Exported+o.Dropped != e.points {
		return nil, false, fmt.Errorf("spool: %d exported and %d dropped data points do not make up the %d of the collection",
			o.Exported, o.Dropped, e.points)
	}
	e.state = settling
	d = &settleOp{entries: []*entry{e}, outcome: o, result: make(chan error, 1)}
	if !q.stopped {
		q.settleOps = append(q.settleOps, d)
		q.nudge()
	}
	return d, q.stopped, nil
}

// giveBack is Return of an entry. The record is in the file already.
func (q *Queue) giveBack(e *entry) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := e.ensureInFlight(); err != nil {
		return err
	}
	q.ledger.giveBack(e)
	q.signal()
	return nil
}

// settleLate records an end after Close: it opens the file for it.
func (q *Queue) settleLate(d *settleOp) error {
	q.late.Lock()
	defer q.late.Unlock()
	s, err := openStore(q.path(), q.config.noSync)
	if err == nil {
		err = s.deleteSame(d.entries[0])
		if errors.Is(err, errDamaged) {
			s.abandon()
		} else if closeErr := s.close(); err == nil {
			err = closeErr
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.enterSettle(d)
	if err != nil {
		return fmt.Errorf("spool: folder %s: recording the end of the collection at position %d after Close, "+
			"it may be delivered again: %w", q.dir, d.entries[0].position, err)
	}
	return nil
}

// enterSettle enters an end in the ledger. The caller holds the lock.
func (q *Queue) enterSettle(d *settleOp) {
	if d.drop != nil {
		q.noteDrop(*d.drop)
	}
	for _, e := range d.entries {
		if d.drop != nil {
			q.ledger.end(e, queue.Outcome{Dropped: e.points})
		} else {
			q.ledger.end(e, d.outcome)
		}
	}
}
