package spool

import (
	"cmp"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/queue"
)

// An entry is a record in a queue, or one that was. The lock of the queue
// protects it, but for what the caller of Take may use.
type entry struct {
	index
	queue    *Queue
	position uint64

	state      state
	prev, next *entry // of those that wait
	largest    int64  // size of the largest of its parts
	version    uint64 // changes with the data
	unjoinable uint64 // the version of the next entry, if joining the two saves nothing

	// collection is the data, in flight and where Take has read it before. It is
	// set by Take alone, in flight it does not change.
	collection *metricdata.ResourceMetrics
}

var _ queue.Entry = (*entry)(nil)

// A state is who may do something with an entry.
type state uint8

const (
	waiting  state = iota // Take and the writer
	held                  // Take is about to hand it out
	claimed               // the writer is about to join or drop it
	dropping              // the writer is about to drop it
	inFlight              // the caller of Take
	settling              // the writer is about to record its end
	ended
)

// Collection implements [queue.Entry].
func (e *entry) Collection() *metricdata.ResourceMetrics { return e.collection }

// Points implements [queue.Entry].
func (e *entry) Points() int { return e.points }

// Position implements [queue.Entry].
func (e *entry) Position() uint64 { return e.position }

// Accepted implements [queue.Entry].
func (e *entry) Accepted() time.Time { return e.newest }

// Settle implements [queue.Entry]. It returns when the record has been deleted
// from the disk. Where that fails the entry has still ended in this process;
// the next one may hand it out again.
func (e *entry) Settle(o queue.Outcome) error { return e.queue.settle(e, o) }

// Return implements [queue.Entry]. It does not wait for the disk. After Close
// the record stays in the file.
func (e *entry) Return() error { return e.queue.giveBack(e) }

func (e *entry) compare(position uint64) int { return cmp.Compare(e.position, position) }

// ensureInFlight returns an error if the entry is not in flight. The caller
// holds the lock.
func (e *entry) ensureInFlight() error {
	if e.state != inFlight {
		return fmt.Errorf("spool: the collection at position %d has been settled or returned before", e.position)
	}
	return nil
}

// A backlog is the entries that wait, from the oldest to the newest. A list
// rather than a slice, as entries are removed anywhere when they are joined,
// and there may be a million of them.
type backlog struct {
	first, last *entry
	len         int
	bytes       int64
}

func (b *backlog) push(e *entry) {
	e.state, e.prev, e.next = waiting, b.last, nil
	if b.last != nil {
		b.last.next = e
	} else {
		b.first = e
	}
	b.last = e
	b.len++
	b.bytes += e.size
}

// insert adds an entry before all that are newer. It does not take long: only
// entries that were in flight, too, can be older.
func (b *backlog) insert(e *entry) {
	newer := b.first
	for newer != nil && newer.position < e.position {
		newer = newer.next
	}
	if newer == nil {
		b.push(e)
		return
	}
	e.state, e.prev, e.next = waiting, newer.prev, newer
	newer.prev = e
	if e.prev != nil {
		e.prev.next = e
	} else {
		b.first = e
	}
	b.len++
	b.bytes += e.size
}

func (b *backlog) remove(e *entry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		b.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		b.last = e.prev
	}
	e.prev, e.next = nil, nil
	b.len--
	b.bytes -= e.size
}
