package jetstream

import (
	"cmp"
	"slices"
	"time"

	"github.com/asyncmetric/asyncmetric/queue"
)

// A ledger is what a Queue knows of the stream. The lock of the queue protects
// it.
type ledger struct {
	known map[uint64]*entry // by position; what has not ended
	line  []*entry          // what counts as queued, by position
	parts []part
	last  uint64 // the position of the newest put
	base  uint64 // what to add to a sequence number

	early   map[uint64]struct{}     // own messages that were received before Put knew that they are stored
	unacked map[uint64]time.Time    // what has ended, but may not have been acknowledged: when it was stored
	acked   [2]map[uint64]time.Time // what was acknowledged lately, and before that: it may be on its way once more
	gone    uint64                  // own messages before this position that are not known have ended

	stats   queue.Stats // but for Oldest, First and Last
	waiting int         // entries that are stored or held, and count
}

// A part is what this Queue has of a partition.
type part struct {
	held      []*entry      // can be taken, if clear; by position
	flying    []*entry      // in flight, of this stream
	bad       []*entry      // rejected
	silent    bool          // the server has not confirmed an end, and not been heard of since
	extending bool          // an extension is under way
	room      chan struct{} // capacity 1: holds a value when there is less in hand than there was
	clear     bool          // nobody else has anything of the partition

	// seen is how far each producer's messages have come, as long as nobody else
	// delivers the partition.
	seen map[string]progress
}

// A progress is how many messages, and points, a producer had stored once one of
// them was.
type progress struct{ messages, points uint64 }

// maxProducers is how many producers a partition has in mind.
const maxProducers = 1 << 12

func newLedger(partitions int) ledger {
	l := ledger{
		known:   make(map[uint64]*entry),
		early:   make(map[uint64]struct{}),
		unacked: make(map[uint64]time.Time),
		acked:   [2]map[uint64]time.Time{make(map[uint64]time.Time), make(map[uint64]time.Time)},
		parts:   make([]part, partitions),
	}
	for i := range l.parts {
		l.parts[i].room = make(chan struct{}, 1)
	}
	return l
}

// inHand returns all entries of which the server believes that this relay has
// them.
func (p *part) inHand() []*entry { return slices.Concat(p.flying, p.held, p.bad) }

// leased returns how many entries the server gives to nobody else. What is before
// first it has discarded.
func (p *part) leased(now time.Time, first uint64) (n int) {
	for _, e := range p.inHand() {
		if e.lease.After(now) && e.position >= first {
			n++
		}
	}
	return n
}

// hasLapsed reports whether the server may have given somebody else something
// that is held.
func (p *part) hasLapsed(now time.Time) bool {
	return slices.ContainsFunc(p.held, func(e *entry) bool { return !e.lease.After(now) })
}

// remove removes an entry that is in hand.
func (p *part) remove(e *entry) {
	isIt := func(other *entry) bool { return other == e }
	p.held = slices.DeleteFunc(p.held, isIt)
	p.flying = slices.DeleteFunc(p.flying, isIt)
	p.bad = slices.DeleteFunc(p.bad, isIt)
	p.notify()
}

// notify says that there is room.
func (p *part) notify() {
	select {
	case p.room <- struct{}{}:
	default:
	}
}

func byPosition(e *entry, position uint64) int { return cmp.Compare(e.position, position) }

// enlist makes an entry count.
func (l *ledger) enlist(e *entry) {
	e.counted = true
	i, _ := slices.BinarySearchFunc(l.line, e.position, byPosition)
	l.line = slices.Insert(l.line, i, e)
	l.stats.Accepted += uint64(e.points)
	l.stats.Queued += e.points
	l.stats.Collections++
	l.waiting++
}

// hold makes an entry one that can be taken.
func (l *ledger) hold(e *entry) {
	e.state = held
	l.known[e.position] = e
	p := &l.parts[e.partition]
	i, _ := slices.BinarySearchFunc(p.held, e.position, byPosition)
	p.held = slices.Insert(p.held, i, e)
}

// head returns the oldest entry that can be taken, nil if there is none, and
// whether there is one that must not be taken any more, in which partition.
func (l *ledger) head(now time.Time) (oldest *entry, lapsed int) {
	lapsed = -1
	for i := range l.parts {
		p := &l.parts[i]
		switch {
		case len(p.held) == 0 || !p.clear && !p.held[0].returned:
		case p.hasLapsed(now):
			lapsed = i
		case oldest == nil || p.held[0].position < oldest.position:
			oldest = p.held[0]
		}
	}
	return oldest, lapsed
}

// take makes an entry that is held one in flight.
func (l *ledger) take(e *entry) {
	if !e.counted {
		l.enlist(e)
	}
	p := &l.parts[e.partition]
	p.held[0] = nil
	p.held = p.held[1:]
	p.flying = append(p.flying, e)
	e.state, e.returned = inFlight, false
	l.waiting--
	l.stats.InFlight += e.points
}

// takeBack replaces an entry in flight, which ends, by one that is held. What is
// older has ended, or is in flight here, so it may be handed out again even if
// others may have something of the partition.
func (l *ledger) takeBack(e *entry) {
	again := *e
	again.returned = true
	e.state = ended
	l.parts[e.partition].remove(e)
	l.hold(&again)
	if i, ok := slices.BinarySearchFunc(l.line, e.position, byPosition); ok {
		l.line[i] = &again
	}
	l.waiting++
	l.stats.InFlight -= e.points
}

// letGo forgets what is held of a partition and returns where to give it back.
// The entries that count are in the stream still.
func (l *ledger) letGo(partition int) (replies []string) {
	p := &l.parts[partition]
	for _, e := range slices.Concat(p.held, p.bad) {
		replies = append(replies, e.reply)
		if e.counted {
			e.state, e.data, e.collection, e.returned = stored, nil, nil, false
		} else {
			delete(l.known, e.position)
		}
	}
	p.held, p.bad = nil, nil
	p.notify()
	l.doubt(partition)
	return replies
}

// doubt notes that others may have something of a partition.
func (l *ledger) doubt(partition int) {
	l.parts[partition].clear = false
	l.parts[partition].seen = nil
}

// reject takes an entry that is held out of what can be taken, and returns how
// many points are missing before it.
func (l *ledger) reject(e *entry, reason error) (missing int) {
	p := &l.parts[e.partition]
	p.remove(e)
	p.bad = append(p.bad, e)
	l.known[e.position] = e
	e.state, e.reason = rejected, reason
	e.points = e.from.points
	return l.see(e)
}

// dismissed forgets an entry that was rejected.
func (l *ledger) dismissed(e *entry) {
	if l.known[e.position] == e {
		l.parts[e.partition].remove(e)
		delete(l.known, e.position)
	}
}

// see returns how many points of its producer should have come before an entry
// that is taken, and have not: where messages are missing, by their numbers, and
// had been stored, by their points.
func (l *ledger) see(e *entry) (missing int) {
	if !e.from.tells {
		return 0
	}
	p := &l.parts[e.partition]
	if p.seen == nil || len(p.seen) >= maxProducers {
		p.seen = make(map[string]progress)
	}
	seen, ok := p.seen[e.from.producer]
	if ok && e.from.number > seen.messages+1 && e.from.before > seen.points {
		missing = int(e.from.before - seen.points)
	}
	p.seen[e.from.producer] = progress{
		messages: max(seen.messages, e.from.number),
		points:   max(seen.points, e.from.before+uint64(e.points)),
	}
	return missing
}

// end ends an entry that counts.
func (l *ledger) end(e *entry, o queue.Outcome) {
	if e.state == inFlight {
		l.stats.InFlight -= e.points
	} else {
		l.waiting--
	}
	l.parts[e.partition].remove(e)
	e.state, e.counted = ended, false
	delete(l.known, e.position)
	l.stats.Exported += uint64(o.Exported)
	l.stats.Dropped += uint64(o.Dropped)
	l.stats.Queued -= e.points
	l.stats.Collections--
	if i, ok := slices.BinarySearchFunc(l.line, e.position, byPosition); ok {
		l.line = slices.Delete(l.line, i, i+1)
	}
}

// maxUnacked is how many ends are remembered whose acknowledgement was not
// confirmed. Another relay may have got the message, and then it does not come
// here again.
const maxUnacked = 1 << 12

// maxAcked is how many ends are remembered that were acknowledged lately, twice.
const maxAcked = 1 << 15

// miss notes that an end has not been acknowledged yet.
func (l *ledger) miss(e *entry) {
	if len(l.unacked) >= maxUnacked {
		clear(l.unacked)
	}
	l.unacked[e.position] = e.timestamp
}

// confirm notes that it has. It may be on its way to here once more.
func (l *ledger) confirm(e *entry) {
	if e.base == l.base {
		delete(l.unacked, e.position)
		if len(l.acked[0]) >= maxAcked {
			l.age()
		}
		l.acked[0][e.position] = e.timestamp
	}
}

// age forgets what was acknowledged before it was called last.
func (l *ledger) age() {
	clear(l.acked[1])
	l.acked[0], l.acked[1] = l.acked[1], l.acked[0]
}

// hasEnded returns when a message was stored that has ended.
func (l *ledger) hasEnded(position uint64) (stored time.Time, ok bool) {
	for _, ended := range []map[uint64]time.Time{l.unacked, l.acked[0], l.acked[1]} {
		if stored, ok = ended[position]; ok {
			return stored, true
		}
	}
	return time.Time{}, false
}
