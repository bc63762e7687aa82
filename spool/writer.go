package spool

import (
	"errors"
	"fmt"
	"slices"

	"github.com/asyncmetric/asyncmetric/queue"
)

// maxPlan is how many bytes of new records go into one transaction, but for
// the last of them.
const maxPlan = 16 << 20

// run is the goroutine that owns the file. It ends when stopping has been set
// and there is nothing left to do.
func (q *Queue) run() {
	defer close(q.ended)
	for range q.wake {
		for q.work() {
		}
		if q.stop() {
			return
		}
	}
}

// stop reports whether the writer can end. From then on, Settle records
// the end itself.
func (q *Queue) stop() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = q.stopping && len(q.settleOps) == 0
	return q.stopped
}

// work does what waits, and reports false if there is nothing. Calls of Put that
// come meanwhile have to wait, so that they do not hold up Take and Settle.
func (q *Queue) work() bool {
	p := new(plan)
	q.mu.Lock()
	r := q.nextRead
	p.settleOps = q.settleOps
	puts := len(q.line)
	if q.full || q.yields() {
		puts = 0
	}
	q.nextRead, q.settleOps = nil, nil
	q.mu.Unlock()
	if r == nil && len(p.settleOps) == 0 && puts == 0 {
		return false
	}
	if r != nil {
		q.serve(r, p)
	}
	for range puts {
		next := q.next(p)
		if next == nil {
			break
		}
		q.admit(p, next)
		if p.size > maxPlan {
			q.commit(p)
		}
	}
	q.commit(p)
	q.renew()
	return true
}

// serve reads a record for Take.
func (q *Queue) serve(r *readOp, p *plan) {
	r.record, r.err = q.read(r.entry, p)
	close(r.done)
}

// read reads a record. Where the file turns out to be damaged it is replaced.
func (q *Queue) read(e *entry, p *plan) ([]byte, error) {
	if err := q.ensureStore(); err != nil {
		return nil, err
	}
	record, err := q.store.read(e.position, e.size)
	if errors.Is(err, errDamaged) {
		q.replaceStore(err, p)
	}
	return record, err
}

// next takes the first call of Put out of the line, if it may begin. Those that
// the policy refuses, or that do not wait for room, end here.
func (q *Queue) next(p *plan) *putOp {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.line) > 0 && !q.yields() {
		first := q.line[0]
		fits := q.fits(p, first.index.size, q.config.maxBytes)
		if !fits && q.config.overflow == queue.Block && first.ended == nil {
			q.full = true
			q.refuseEnded()
			return nil
		}
		q.line = slices.Delete(q.line, 0, 1)
		switch {
		case !fits && q.config.overflow == queue.Block:
			first.result <- first.ended
		case !fits && q.config.overflow == queue.DropNewest:
			first.result <- queue.ErrFull
		default:
			q.begun++
			return first
		}
	}
	return nil
}

// refuseEnded ends the calls of Put in line that do not wait for room. The caller
// holds the lock.
func (q *Queue) refuseEnded() {
	q.line = slices.DeleteFunc(q.line, func(p *putOp) bool {
		if p.ended != nil {
			p.result <- p.ended
		}
		return p.ended != nil
	})
}

// yields reports whether it is the turn of Take, which has found the oldest
// entry claimed: without that, calls of Put could claim it again and again. The
// caller holds the lock.
func (q *Queue) yields() bool {
	return q.takeWaits && q.ledger.first != nil && q.ledger.first.state == waiting
}

// fits reports whether so many more bytes may wait within limit, once p has been
// written. The caller holds the lock.
func (q *Queue) fits(p *plan, size, limit int64) bool {
	return q.ledger.backlog.len+p.entries == 0 || q.ledger.backlog.bytes+p.bytes+size <= limit
}

// commit writes a plan, enters the result in the ledger, and sends it to the
// calls that wait for it. It leaves the plan empty.
func (q *Queue) commit(p *plan) {
	if p.empty() {
		return
	}
	err := q.write(p, p.change)
	settleErr := err
	if err != nil && !errors.Is(err, errUnsynced) && len(p.settleOps) > 0 {
		settleErr = q.write(p, p.settleOpsOnly)
	}
	q.enterPlan(p, err, settleErr)
	*p = plan{}
}

// write makes a change. Where the file turns out to be damaged it is replaced,
// and what is left of the change written to the new one.
func (q *Queue) write(p *plan, change func(position uint64) change) error {
	for tries := 0; ; tries++ {
		if err := q.ensureStore(); err != nil {
			return err
		}
		c := change(q.ledger.position)
		c.deletes = append(c.deletes, q.leftovers...)
		err := q.store.apply(&c)
		if !errors.Is(err, errDamaged) {
			return err
		}
		q.replaceStore(err, p)
		if tries > 0 {
			return err
		}
	}
}

// enterPlan enters a plan in the ledger: err says what became of it, and
// settleErr what became of its settleOps.
func (q *Queue) enterPlan(p *plan, err, settleErr error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	puts, result := p.allPuts(), err
	abandoned := slices.ContainsFunc(puts, func(p *putOp) bool { return p.abandoned })
	if errors.Is(err, errUnsynced) { // it is in the file
		err, settleErr = nil, nil
		abandoned = abandoned || len(puts) == 0
	}
	if result != nil && abandoned { // no caller gets the error, or not every one
		q.noteFailure(result)
	}
	if settleErr == nil {
		q.leftovers = nil
	}
	for _, d := range p.settleOps {
		q.endSettle(d, settleErr)
	}
	if err == nil {
		q.enterSuccess(p)
	} else {
		p.letGo()
	}
	if result != nil {
		result = q.inFolder(result)
	}
	for _, put := range puts {
		q.begun--
		put.result <- result
	}
	q.excess = min(q.excess, max(0, q.ledger.backlog.bytes-q.config.maxBytes))
	q.full = false
	close(q.turn)
	q.turn = make(chan struct{})
	if q.sealed {
		q.signal() // Take may have returned ErrEmpty because of what had begun
	}
}

// endSettle ends entries, also if that could not be recorded: then it is tried
// again with whatever is written next.
func (q *Queue) endSettle(d *settleOp, err error) {
	positions := make([]uint64, len(d.entries))
	for i, e := range d.entries {
		positions[i] = e.position
	}
	q.enterSettle(d)
	if err != nil {
		q.leftovers = append(q.leftovers, positions...)
		err = fmt.Errorf("recording the end of %d collections from position %d on, which may be delivered again "+
			"after a restart: %w", len(positions), positions[0], err)
		if d.drop != nil {
			q.noteFailure(err)
		}
		err = q.inFolder(err)
	}
	d.result <- err
}

// enterSuccess enters what has been written.
func (q *Queue) enterSuccess(p *plan) {
	l := &q.ledger
	for _, j := range p.joins {
		l.join(j)
		if j.put != nil {
			q.dropUnfit(j.put)
		}
	}
	overflowed := queue.Drop{Reason: queue.ReasonOverflow, Err: queue.ErrFull}
	for _, d := range p.drops {
		points, position := d.entry.points, d.entry.position
		l.end(d.entry, queue.Outcome{Dropped: points})
		if d.reason != queue.ReasonOverflow {
			q.noteDrop(queue.Drop{Points: points, Reason: d.reason, Err: d.err, Position: position})
			continue
		}
		if overflowed.Points == 0 { // the oldest comes first
			overflowed.Position = position
		}
		overflowed.Points += points
	}
	if overflowed.Points > 0 {
		q.noteDrop(overflowed)
	}
	for _, put := range p.puts {
		l.accept(&entry{queue: q, index: put.index, position: l.position + 1})
		q.dropUnfit(put)
		q.signal()
	}
}

// dropUnfit enters that OTLP cannot express a part of the newest collection.
func (q *Queue) dropUnfit(p *putOp) {
	if p.left == 0 {
		return
	}
	q.ledger.refuse(p.left)
	q.noteDrop(queue.Drop{
		Points: p.left, Reason: queue.ReasonPermanent, Err: fmt.Errorf("spool: %w", p.unfit), Position: q.ledger.position,
	})
}
