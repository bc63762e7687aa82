package spool

// maxJoinSteps bounds how many pairs one Put looks at, without reading them. It
// is more than the records of most queues.
const maxJoinSteps = 1 << 17

// relaxedShare is the share of the bound, one in so many, that has to become
// free before new collections are kept apart again.
const relaxedShare = 8

// A coalescer decides which records become one while the queue is full, so
// that the resolution of what waits stays even however long that lasts: passes
// over what waits join neighbours that have, together, at most twice target parts,
// target doubles from pass to pass, and what is new is joined to the newest
// record until that has target parts, too.
type coalescer struct {
	target    int    // parts that the newest record gets before a new one begins, at least 1
	cursor    *entry // at which the pass goes on; nil: at the oldest
	smallest  int    // parts of the smallest pair that was too large in this pass, or 0
	delivered bool   // something has been taken since target was 1
	version   uint64 // of the entry that got its data last
}

// left tells that e waits no more; it is still in the list.
func (c *coalescer) left(e *entry) {
	if c.cursor == e {
		c.cursor = e.next
	}
}

// nextVersion returns a number that no entry has had.
func (c *coalescer) nextVersion() uint64 {
	c.version++
	return c.version
}

// mayJoin reports whether a pair of so many parts may become one in this pass.
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

// relax keeps new collections apart again where a part of the queue has been
// delivered, and size more bytes leave enough room in limit.
func (l *ledger) relax(size, limit int64) {
	c := &l.coalescer
	if c.delivered && l.backlog.bytes+size <= limit-limit/relaxedShare {
		c.target, c.cursor, c.smallest, c.delivered = 1, nil, 0, false
	}
}

// findPair goes on with the pass, and with the next ones if necessary, until it
// comes to an entry that may be joined with the one behind it. It returns nil
// if there is none.
func (l *ledger) findPair() (older *entry) {
	c := &l.coalescer
	for range maxJoinSteps {
		older := c.cursor
		if older == nil {
			older = l.first
		}
		if older == nil || older.next == nil {
			c.cursor = nil
			if !c.nextPass() {
				return nil
			}
			continue
		}
		newer := older.next
		if older.state == waiting && newer.state == waiting && older.resource == newer.resource &&
			older.unjoinable != newer.version && !l.flightBetween(older, newer.position) &&
			c.mayJoin(older.parts+newer.parts) {
			c.cursor = older
			return older
		}
		c.cursor = newer
	}
	return nil
}
