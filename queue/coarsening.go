package queue

import (
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

const (
	// maxJoinSteps bounds how many pairs one Put looks at, unless data would be
	// lost otherwise. It is more than the collections that wait in a queue of the
	// default size, unless they are tiny.
	maxJoinSteps = 1 << 13

	// maxWork bounds how much one Put joins: it goes on to another pair only
	// until it has gone through so many times the points that it brings. For
	// collections of equal size one pair makes room; more are needed where a
	// large collection comes behind small ones.
	maxWork = 8

	// lastWork bounds how much more one Put joins before data is dropped, in so
	// many times the points that it brings, and leastWork is the least of that.
	lastWork  = 64
	leastWork = 1 << 14

	// relaxedShare is the share of the bound, one in so many, that has to become
	// free before new collections are kept apart again.
	relaxedShare = 8

	// maxGrowth is how many times larger than the largest of its parts the only
	// entry that waits may become by joining, if that is beyond the bound.
	maxGrowth = 2
)

// A coarsening decides which collections become one while the queue is full,
// so that the resolution of what waits stays even however long that lasts.
//
// Count for each entry the collections that it was made of, its parts. A pass
// goes over what waits from the oldest to the newest and joins neighbours that
// have, together, at most twice target parts. When it has reached the end,
// target doubles, until there is a pair for it, and the next pass begins. Meanwhile what is new is joined to
// the newest entry until that has target parts, too. So behind the cursor of
// the pass entries have about two times target parts, before it target, and
// only the newest may have less: no entry spans more than about twice the time
// of another, since a reader collects at even intervals.
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
type coarsening struct {
	target    int    // parts that the newest entry gets before a new one begins, at least 1
	cursor    int    // index of the waiting entry at which the pass goes on
	smallest  int    // parts of the smallest pair that was too large in this pass, or 0
	delivered bool   // something has been taken since target was 1
	version   uint64 // of the entry that got its data last
}

// popped tells that the oldest entry that waited waits no more.
func (c *coarsening) popped() { c.cursor = max(0, c.cursor-1) }

// nextVersion returns a number that no entry has had.
func (c *coarsening) nextVersion() uint64 {
	c.version++
	return c.version
}

// mayJoin reports whether a pair of so many parts may become one in this pass.
func (c *coarsening) mayJoin(parts int) bool {
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
func (c *coarsening) nextPass() bool {
	found := c.smallest > 0
	for c.smallest > 2*c.target {
		c.target *= 2
	}
	c.smallest = 0
	return found
}

// takeUp is what Put does under Coalesce before it looks for room. It reports
// whether it has taken rm up; if not, it has made room where joining can. The
// caller holds the lock.
func (m *Memory) takeUp(rm *metricdata.ResourceMetrics, points int) bool {
	c := &m.coarsening
	if c.delivered && m.waitingPoints()+points <= m.maxPoints-m.maxPoints/relaxedShare {
		c.target, c.cursor, c.smallest, c.delivered = 1, 0, 0, false
	}
	if m.complete(rm, points) {
		return true
	}
	for work := 0; !m.fits(points) && work <= maxWork*points; {
		target := c.target
		found := m.findPair(maxJoinSteps)
		if c.target > target && m.complete(rm, points) {
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

// complete joins rm to the newest entry if that has less parts than it should.
func (m *Memory) complete(rm *metricdata.ResourceMetrics, points int) bool {
	newest := m.newest()
	return newest != nil && newest.parts < m.coarsening.target && m.joinNewest(rm, points)
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
	if newest == nil || !batch.SameResource(newest.Collection(), rm) {
		return false
	}
	joined := m.spare.get(max(newest.Points(), points))
	batch.Coalesce(joined, newest.Collection(), rm)
	grown := joined.Points() - newest.Points()
	newest.largest = max(newest.largest, points)
	if grown > 0 && m.waitingPoints()+grown > m.maxPoints && !m.mayExceed(joined.Points(), newest.largest) {
		m.spare.put(joined)
		return false
	}
	m.last++
	m.stats.Accepted += uint64(points)
	m.stats.Queued += grown
	m.stats.Coalesced += uint64(points - grown)
	m.replace(newest, joined, 1, time.Now())
	return true
}

// mayExceed reports whether the only entry that waits may have so many points
// after a collection was joined to it. An application whose collections are
// larger than the bound loses nothing either, but what waits does not grow
// without limit.
func (m *Memory) mayExceed(joined, largest int) bool {
	return m.waiting.Len() == 1 && joined <= max(m.maxPoints, maxGrowth*largest)
}

// findPair goes on with the pass, and with the next ones if necessary, until the
// cursor is at an entry that may be joined with the one behind it. It gives up
// after so many steps.
func (m *Memory) findPair(steps int) bool {
	c := &m.coarsening
	for range steps {
		if c.cursor+1 >= m.waiting.Len() {
			c.cursor = 0
			if !c.nextPass() {
				return false
			}
			continue
		}
		older, newer := m.waiting.At(c.cursor), m.waiting.At(c.cursor+1)
		if older.apart != newer.version && batch.SameResource(older.Collection(), newer.Collection()) &&
			c.mayJoin(older.parts+newer.parts) {
			return true
		}
		c.cursor++
	}
	return false
}

// joinPair makes one entry of the two at the cursor if that saves anything; if
// not, it passes over them. It returns how many points it went through.
func (m *Memory) joinPair() (work int) {
	older, newer := m.waiting.At(m.coarsening.cursor), m.waiting.At(m.coarsening.cursor+1)
	work = older.Points() + newer.Points()
	joined := m.spare.get(max(older.Points(), newer.Points()))
	batch.Coalesce(joined, older.Collection(), newer.Collection())
	saved := work - joined.Points()
	if saved == 0 {
		m.spare.put(joined)
		older.apart = newer.version
		m.coarsening.cursor++
		return work
	}
	m.stats.Queued -= saved
	m.stats.Coalesced += uint64(saved)
	m.stats.Collections--
	older.largest = max(older.largest, newer.largest)
	m.replace(older, joined, newer.parts, newer.newest)
	m.waiting.Remove(m.coarsening.cursor + 1)
	m.spare.put(newer.buffer)
	newer.buffer = nil
	return work
}

// replace gives an entry other data, to which so many parts have been added.
func (m *Memory) replace(e *entry, data *batch.Buffer, parts int, newest time.Time) {
	m.spare.put(e.buffer)
	e.buffer = data
	e.parts += parts
	e.newest = newest
	e.version = m.coarsening.nextVersion()
	e.apart = 0
}
