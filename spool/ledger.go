package spool

import (
	"slices"

	"github.com/asyncmetric/asyncmetric/queue"
)

// A ledger is what a queue knows of its records without reading them. It says
// what the file says, a moment after it does: everything is written to disk
// before it is entered here. It has no lock of its own.
type ledger struct {
	backlog
	coalescer coalescer
	inFlight  []*entry // in the order of their positions
	stored    int64    // bytes of all of them
	position  uint64   // the position of the newest collection
	stats     queue.Stats
}

func newLedger() ledger { return ledger{coalescer: coalescer{target: 1}} }

// find enters a record that was there when the file was opened.
func (l *ledger) find(e *entry) {
	l.enter(e)
	l.stats.Accepted += uint64(e.points)
}

// accept enters a new record.
func (l *ledger) accept(e *entry) {
	l.position = e.position
	l.enter(e)
	l.stats.Accepted += uint64(e.points)
}

func (l *ledger) enter(e *entry) {
	e.largest = max(e.largest, e.size)
	e.version = l.coalescer.nextVersion()
	l.backlog.push(e)
	l.stored += e.size
	l.stats.Queued += e.points
	l.stats.Collections++
}

// leave takes an entry out of what waits.
func (l *ledger) leave(e *entry) {
	l.coalescer.left(e)
	l.backlog.remove(e)
}

// hand makes an entry one in flight.
func (l *ledger) hand(e *entry) {
	l.leave(e)
	e.state = inFlight
	i, _ := slices.BinarySearchFunc(l.inFlight, e.position, (*entry).compare)
	l.inFlight = slices.Insert(l.inFlight, i, e)
	l.stats.InFlight += e.points
	l.coalescer.delivered = true
}

// land takes an entry out of what is in flight, and reports whether it was.
func (l *ledger) land(e *entry) bool {
	i := slices.Index(l.inFlight, e)
	if i < 0 {
		return false
	}
	l.inFlight = slices.Delete(l.inFlight, i, i+1)
	l.stats.InFlight -= e.points
	return true
}

// giveBack makes an entry in flight one that waits. That is a copy, so that the
// caller of Return cannot end it a second time. It keeps the collection, which
// Take need not read again then.
func (l *ledger) giveBack(e *entry) {
	l.land(e)
	again := *e
	e.state, e.collection = ended, nil
	l.backlog.insert(&again)
}

// flightBetween reports whether an entry in flight is newer than one that waits
// and older than a position. To join what is on both sides of it would change
// the order, should it return.
func (l *ledger) flightBetween(older *entry, position uint64) bool {
	i, _ := slices.BinarySearchFunc(l.inFlight, older.position+1, (*entry).compare)
	return i < len(l.inFlight) && l.inFlight[i].position < position
}

// end enters the end of an entry, in flight or not.
func (l *ledger) end(e *entry, o queue.Outcome) {
	if !l.land(e) {
		l.leave(e)
	}
	e.state, e.collection = ended, nil
	l.stored -= e.size
	l.stats.Exported += uint64(o.Exported)
	l.stats.Dropped += uint64(o.Dropped)
	l.stats.Queued -= e.points
	l.stats.Collections--
}

// join enters that two have become one.
func (l *ledger) join(j join) {
	added := 0 // data points that had been queued, or are new
	if j.newer != nil {
		added = j.newer.points
		l.leave(j.newer)
		l.stored -= j.newer.size
		l.stats.Queued -= added
		l.stats.Collections--
		j.newer.state, j.newer.collection = ended, nil
		j.older.largest = max(j.older.largest, j.newer.largest)
	}
	if j.put != nil {
		added = j.put.index.points
		l.position++
		l.stats.Accepted += uint64(added)
		j.older.largest = max(j.older.largest, j.put.index.size)
	}
	l.stats.Coalesced += uint64(j.older.points + added - j.data.points)
	l.replace(j.older, j.data)
}

// replace gives an entry that waits other data.
func (l *ledger) replace(e *entry, data index) {
	l.backlog.bytes += data.size - e.size
	l.stored += data.size - e.size
	l.stats.Queued += data.points - e.points
	e.index, e.collection, e.state = data, nil, waiting
	e.version, e.unjoinable = l.coalescer.nextVersion(), 0
}

// refuse counts what was accepted and dropped at once.
func (l *ledger) refuse(points int) {
	l.stats.Accepted += uint64(points)
	l.stats.Dropped += uint64(points)
}

// snapshot returns the stats of this moment.
func (l *ledger) snapshot() queue.Stats {
	s := l.stats
	s.Last = l.position
	if e := l.oldest(); e != nil {
		s.Oldest, s.First = e.oldest, e.position
	}
	return s
}

// oldest returns the entry with the lowest position that has not ended.
func (l *ledger) oldest() *entry {
	if len(l.inFlight) > 0 && (l.first == nil || l.inFlight[0].position < l.first.position) {
		return l.inFlight[0]
	}
	return l.first
}
