package spool

import (
	"errors"
	"fmt"
	"math"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

const (
	// maxWork and lastWork bound how much one Put joins: it goes on to another
	// pair only until it has gone through so many times the bytes that it brings.
	// For collections of equal size one pair makes room. Beyond lastWork data is
	// dropped.
	maxWork  = 8
	lastWork = 64

	// maxGrowth is how many times larger than the largest of its parts the only
	// entry that waits may become by joining, if that is beyond the bound.
	maxGrowth = 2
)

// A join makes one entry of two, or joins a call of Put to one.
type join struct {
	older *entry
	newer *entry // or nil
	put   *putOp // or nil
	data  index  // of older from then on
	frame []byte
}

// joinPairs joins pairs until put fits within limit, or it has done so much
// work. It reports whether it has joined put itself.
func (q *Queue) joinPairs(p *plan, put *putOp, work, limit int64) (joined bool) {
	size := put.index.size
	for done := int64(0); !q.fitsNow(p, size, limit) && done <= work*size; {
		older, newer, grown := q.claimPair()
		if grown && q.fillNewest(p, put) {
			q.letGo(older, newer)
			return true
		}
		if older == nil && len(p.joins) > 0 {
			q.commit(p) // what has been joined may be joined further
			continue
		}
		if older == nil {
			return false
		}
		done += q.joinPair(p, older, newer)
	}
	return false
}

// claimPair claims the next pair, if there is one. It reports whether the
// number of parts that the newest entry should have has grown.
func (q *Queue) claimPair() (older, newer *entry, grown bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	target := q.ledger.coalescer.target
	older = q.ledger.findPair()
	if older != nil {
		newer = older.next
		older.state, newer.state = claimed, claimed
	}
	return older, newer, q.ledger.coalescer.target > target
}

// letGo lets go of entries that were claimed.
func (q *Queue) letGo(entries ...*entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range entries {
		if e != nil && e.state == claimed {
			e.state = waiting
		}
	}
	close(q.turn)
	q.turn = make(chan struct{})
}

// joinPair makes one entry of two that are claimed if that saves anything. It
// returns how many bytes it went through.
func (q *Queue) joinPair(p *plan, older, newer *entry) (work int64) {
	work = older.size + newer.size
	j := join{older: older, newer: newer}
	first, second := q.load(older, p), q.load(newer, p)
	if first == nil || second == nil || !j.make(first, second, newer.index) || j.data.size >= work {
		q.markUnjoinable(older, newer)
		return work
	}
	if len(p.joins) > 0 {
		q.commit(p) // one of the two may be needed again
		q.mu.Lock()
		gone := older.state != claimed || newer.state != claimed
		q.mu.Unlock()
		if gone {
			q.letGo(older, newer)
			return work
		}
	}
	p.addJoin(j)
	return work
}

// markUnjoinable lets go of a pair and remembers not to try it again.
func (q *Queue) markUnjoinable(older, newer *entry) {
	q.mu.Lock()
	older.unjoinable = newer.version
	q.mu.Unlock()
	q.letGo(older, newer)
}

// fillNewest joins put to the newest entry if that has less parts than it should.
func (q *Queue) fillNewest(p *plan, put *putOp) bool {
	q.mu.Lock()
	newest := q.ledger.backlog.last
	incomplete := newest != nil && newest.parts < q.ledger.coalescer.target
	q.mu.Unlock()
	return incomplete && q.joinNewest(p, put)
}

// joinNewest joins put to the newest entry that waits, and reports whether there
// is one of the same resource, and room for the result.
func (q *Queue) joinNewest(p *plan, put *putOp) bool {
	newest := q.claimNewest(put)
	if newest == nil {
		return false
	}
	j := join{older: newest, put: put}
	// What comes back from the disk may differ from what was put in, and has to be
	// joined to its like: integers in histograms become floating-point numbers.
	added, err := frame.DecodeCollection(put.frame, frame.MaxSize)
	rm := q.load(newest, p)
	if err != nil || rm == nil || !j.make(rm, added, put.index) || !q.mayGrow(p, &j) {
		q.letGo(newest)
		return false
	}
	p.addJoin(j)
	return true
}

func (q *Queue) claimNewest(put *putOp) *entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	newest := q.ledger.backlog.last
	if newest == nil || newest.state != waiting || newest.resource != put.index.resource ||
		q.ledger.flightBetween(newest, math.MaxUint64) {
		return nil
	}
	newest.state = claimed
	return newest
}

// mayGrow reports whether there is room for a join with put. The only entry
// that waits may exceed the bound: an application whose collections are larger
// loses nothing either, but what waits does not grow without limit.
func (q *Queue) mayGrow(p *plan, j *join) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	grown := j.data.size - j.older.size
	if grown <= 0 || q.ledger.backlog.bytes+p.bytes+grown <= q.bound() {
		return true
	}
	largest := max(j.older.largest, j.put.index.size)
	return q.ledger.backlog.len+p.entries == 1 && j.data.size <= max(q.config.maxBytes, maxGrowth*largest)
}

// make fills in the data of a join. It reports false if the two cannot be
// joined.
func (j *join) make(older, newer *metricdata.ResourceMetrics, added index) bool {
	if !batch.SameResource(older, newer) {
		return false
	}
	joined := batch.Coalesce(nil, older, newer)
	record, err := frame.EncodeCollection(joined, frame.MaxSize)
	if err != nil {
		return false // neither is worse than before
	}
	j.frame = record
	j.data = index{
		points:   batch.Points(joined),
		size:     int64(len(record)),
		oldest:   j.older.oldest,
		newest:   added.newest,
		parts:    j.older.parts + added.parts,
		resource: j.older.resource,
	}
	return true
}

// letGo lets go of the entries that were to be joined.
func (j *join) letGo() {
	for _, e := range []*entry{j.older, j.newer} {
		if e != nil && e.state == claimed {
			e.state = waiting
		}
	}
}

// load returns the data of an entry that is claimed, or nil: one that cannot be
// read is dropped.
func (q *Queue) load(e *entry, p *plan) *metricdata.ResourceMetrics {
	if e.collection != nil {
		return e.collection
	}
	r := readOp{entry: e}
	r.record, r.err = q.read(e, p)
	rm, err := r.collection()
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case err == nil:
		return rm
	case e.state != claimed: // it went with the file
	case errors.Is(err, frame.ErrCorrupt):
		p.addDrop(drop{e, queue.ReasonCorrupt, fmt.Errorf("spool: the record at position %d: %w", e.position, err)})
	}
	return nil
}
