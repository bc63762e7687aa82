package queue

import (
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

const (
	// maxJoinSteps is how many pairs one Put looks at, at most, unless data would
	// be lost otherwise. It is more than the collections that wait in a queue of
	// the default size, unless they are tiny.
	maxJoinSteps = 1 << 13

	// maxWork limits how much one Put joins. It goes on to another pair until it
	// has gone through maxWork times the points that it brings. For collections of
	// equal size one pair makes room. More are needed where a large collection
	// comes behind small ones.
	maxWork = 8

	// lastWork limits, in the same way, how much more one Put joins before data is
	// dropped. It is at least leastWork points.
	lastWork  = 64
	leastWork = 1 << 14

	// relaxedShare says how much room a delivery has to leave before new
	// collections are kept apart again: one part of the bound in relaxedShare.
	relaxedShare = 8

	// maxGrowth is how many times larger than the largest of its parts the only
	// entry that waits may become by joining, if that is beyond the bound.
	maxGrowth = 2
)

// A coalescer decides which collections become one while the queue is full. The
// resolution of what waits stays even, however long the queue is full.
//
// Count for each entry the collections that it was made of, its parts. A pass
// goes over what waits from the oldest to the newest. It joins neighbours that
// have, together, at most twice target parts. At the end of the pass, target
// doubles until there is a pair for it, and the next pass begins. Meanwhile
// what is new is joined to the newest entry until that has target parts, too.
// So the entries behind the cursor of the pass have about two times target
// parts, those before it have target, and only the newest may have less. A
// reader collects at even intervals: no entry spans more than about twice the
// time of another.
//
// A pass frees an entry for each two that it visits, and target new collections
// take up one. So of collections of equal size, one Put joins at most one pair
// of the pass, or itself to the newest entry. Where sizes differ much, a
// collection may find no room where it belongs, and entries are less even.
//
// When a part of the queue has been delivered, new collections have room and
// are kept apart: target is 1 again. The passes after that join the small
// entries first, because large pairs are beyond the target, until all are even
// once more.
type coalescer struct {
	target    int    // parts that the newest entry gets before a new one begins, at least 1
	cursor    int    // index of the waiting entry at which the pass goes on
	smallest  int    // parts of the smallest pair that was too large in this pass, or 0
	delivered bool   // something has been settled since target was 1
	version   uint64 // of the entry that got its data last
}

// popped keeps the cursor right when the oldest entry that waited has left.
func (c *coalescer) popped() { c.cursor = max(0, c.cursor-1) }

// inserted keeps the cursor right when an entry begins to wait at an index
// before those that waited there.
func (c *coalescer) inserted(at int) {
	if at < c.cursor {
		c.cursor++
	}
}

// nextVersion returns a number that no entry has had.
func (c *coalescer) nextVersion() uint64 {
	c.version++
	return c.version
}

// mayJoin reports whether a pair with the given number of parts may become one
// in this pass.
func (c *coalescer) mayJoin(parts int) bool {
	if parts <= 2*c.target {
		return true
	}
	if c.smallest == 0 || parts < c.smallest {
		c.smallest = parts
	}
	return false
}

// nextPass doubles target until there is a pair for it. It reports false if no
// target would make one.
func (c *coalescer) nextPass() bool {
	found := c.smallest > 0
	for c.smallest > 2*c.target {
		c.target *= 2
	}
	c.smallest = 0
	return found
}

// coalesce is what Put does under Coalesce before it looks for room. It reports
// whether it has taken rm up; if not, it has made room where joining can. The
// caller holds the lock.
func (m *Memory) coalesce(rm *metricdata.ResourceMetrics, points int) bool {
	c := &m.coalescer
	if c.delivered && m.waitingPoints()+points <= m.maxPoints-m.maxPoints/relaxedShare {
		c.target, c.cursor, c.smallest, c.delivered = 1, 0, 0, false
	}
	if m.fillNewest(rm, points) {
		return true
	}
	for work := 0; !m.fits(points) && work <= maxWork*points; {
		target := c.target
		found := m.findPair(maxJoinSteps)
		if c.target > target && m.fillNewest(rm, points) {
			return true
		}
		if !found {
			break
		}
		work += m.joinPair()
	}
	if m.fits(points) {
		return false
	}
	if m.joinNewest(rm, points) {
		return true
	}
	// Without more room data is lost: this looks at all pairs there are.
	steps := max(maxJoinSteps, 2*m.waiting.Len())
	for work := 0; !m.fits(points) && work <= max(leastWork, lastWork*points) && m.findPair(steps); {
		work += m.joinPair()
	}
	return false
}

// fillNewest joins rm to the newest entry if that has less parts than it should.
func (m *Memory) fillNewest(rm *metricdata.ResourceMetrics, points int) bool {
	newest := m.newest()
	return newest != nil && newest.parts < m.coalescer.target && m.joinNewest(rm, points)
}

// newest returns the entry that waits for the shortest time.
func (m *Memory) newest() *entry {
	if m.waiting.Len() == 0 {
		return nil
	}
	return m.waiting.At(m.waiting.Len() - 1)
}

// joinNewest joins rm to the newest entry that waits, and reports whether there
// is one of the same resource, and room for the result.
func (m *Memory) joinNewest(rm *metricdata.ResourceMetrics, points int) bool {
	newest := m.newest()
	if newest == nil || !batch.SameResource(newest.Collection(), rm) || m.isCut(newest.position, math.MaxUint64) {
		return false
	}
	joined := m.join(newest.Collection(), rm, max(newest.points, points))
	grown := joined.Points() - newest.points
	largest := max(newest.largest, points)
	if grown > 0 && m.waitingPoints()+grown > m.maxPoints && !m.mayExceed(joined.Points(), largest) {
		m.free.put(joined)
		return false
	}
	newest.largest = largest
	m.counters.Last++
	m.counters.Accepted += uint64(points)
	m.counters.Queued += grown
	m.counters.Coalesced += uint64(points - grown)
	m.replace(newest, joined, 1, time.Now())
	return true
}

// join returns what [batch.Coalesce] makes of two collections, the larger of
// which has the given number of points.
func (m *Memory) join(older, newer *metricdata.ResourceMetrics, points int) *batch.Buffer {
	joined, _ := m.free.get(points)
	batch.Coalesce(joined, older, newer)
	m.free.filled(joined)
	return joined
}

// mayExceed reports whether the only entry that waits may have the given number
// of points, beyond the bound, after a collection was joined to it. An
// application whose collections are larger than the bound loses nothing either,
// but what waits does not grow without limit.
func (m *Memory) mayExceed(joined, largest int) bool {
	return m.waiting.Len() == 1 && joined <= max(m.maxPoints, maxGrowth*largest)
}

// findPair goes on with the pass, and with the next ones if necessary, until the
// cursor is at an entry that may be joined with the one behind it. It looks at
// no more than the given number of pairs.
func (m *Memory) findPair(steps int) bool {
	c := &m.coalescer
	for range steps {
		if c.cursor+1 >= m.waiting.Len() {
			c.cursor = 0
			if !c.nextPass() {
				return false
			}
			continue
		}
		older, newer := m.waiting.At(c.cursor), m.waiting.At(c.cursor+1)
		if older.unjoinable != newer.version && batch.SameResource(older.Collection(), newer.Collection()) &&
			!m.isCut(older.position, newer.position) && c.mayJoin(older.parts+newer.parts) {
			return true
		}
		c.cursor++
	}
	return false
}

// isCut reports whether something in flight is newer than one position and older
// than another: an older entry has been returned meanwhile. To join across it
// would change the order, should it be returned as well.
func (m *Memory) isCut(older, newer uint64) bool {
	return slices.ContainsFunc(m.inFlight, func(e *entry) bool { return older < e.position && e.position < newer })
}

// joinPair makes one entry of the two at the cursor if that saves anything. If
// not, it passes over them. It returns how many points it went through.
func (m *Memory) joinPair() (work int) {
	older, newer := m.waiting.At(m.coalescer.cursor), m.waiting.At(m.coalescer.cursor+1)
	work = older.points + newer.points
	joined := m.join(older.Collection(), newer.Collection(), max(older.points, newer.points))
	saved := work - joined.Points()
	if saved == 0 {
		m.free.put(joined)
		older.unjoinable = newer.version
		m.coalescer.cursor++
		return work
	}
	m.counters.Queued -= saved
	m.counters.Coalesced += uint64(saved)
	m.counters.Collections--
	older.largest = max(older.largest, newer.largest)
	m.replace(older, joined, newer.parts, newer.newest)
	m.waiting.Remove(m.coalescer.cursor + 1)
	m.release(newer)
	return work
}

// replace gives an entry other data, which has the given number of parts more
// than the data before.
func (m *Memory) replace(e *entry, data *batch.Buffer, parts int, newest time.Time) {
	m.release(e)
	e.buffer, e.points = data, data.Points()
	e.parts += parts
	e.newest = newest
	e.version = m.coalescer.nextVersion()
}
