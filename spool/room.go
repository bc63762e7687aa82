package spool

import "github.com/asyncmetric/asyncmetric/queue"

// maxDrops is how many records one Put drops to work off a backlog that was
// found to be larger than the bound.
const maxDrops = 256

// admit adds a call of Put to a plan, after what makes room for it.
func (q *Queue) admit(p *plan, put *putOp) {
	switch q.config.overflow {
	case queue.DropOldest:
		q.dropOldest(p, put, maxDrops)
	case queue.Coalesce:
		if q.coalesce(p, put) {
			return
		}
		q.dropOldest(p, put, 0)
	}
	p.addPut(put)
}

// bound returns how many bytes may wait: more than was asked for as long as
// more were found by Open.
func (q *Queue) bound() int64 { return q.config.maxBytes + q.excess }

// dropOldest drops the oldest records that wait until there is room. It drops
// up to extra of them only to come closer to the bound.
func (q *Queue) dropOldest(p *plan, put *putOp, extra int) {
	size := put.index.size
	if !q.fitsNow(p, size, q.bound()) && len(p.puts) > 0 {
		q.commit(p) // so that they can be dropped, too
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := q.ledger.first; e != nil; e = e.next {
		if q.fits(p, size, q.config.maxBytes) || extra <= 0 && q.fits(p, size, q.bound()) {
			return
		}
		if e.state == waiting {
			p.addDrop(drop{e, queue.ReasonOverflow, queue.ErrFull})
			extra--
		}
	}
}

func (q *Queue) fitsNow(p *plan, size, limit int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.fits(p, size, limit)
}

// coalesce is what Put does under Coalesce before it looks for room. It reports
// whether it has joined put to an entry; if not, it has made room where joining
// can.
func (q *Queue) coalesce(p *plan, put *putOp) bool {
	size := put.index.size
	if !q.mustCoalesce(p, size) {
		return false
	}
	if len(p.puts) > 0 || len(p.joins) > 0 {
		q.commit(p) // so that they can be joined, too
	}
	if q.fillNewest(p, put) {
		return true
	}
	if q.joinPairs(p, put, maxWork, q.config.maxBytes) {
		return true
	}
	if q.fitsNow(p, size, q.bound()) {
		return false
	}
	return q.joinNewest(p, put) || q.joinPairs(p, put, lastWork, q.bound())
}

// mustCoalesce reports whether put cannot just be added.
func (q *Queue) mustCoalesce(p *plan, size int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ledger.relax(size, q.config.maxBytes)
	return q.ledger.coalescer.target > 1 || !q.fits(p, size, q.config.maxBytes)
}
