package queue

import "fmt"

// Overflow is what a queue does with a new collection for which it has no
// room. The zero value is not a policy.
type Overflow int

const (
	// Coalesce makes one collection of two that wait next to each other, as
	// batch.Coalesce does: resolution in time is lost, and no total is.
	// However long the queue is full, no collection that waits spans more than
	// about twice the time of another. One Put joins a pair or two, and more only
	// if it brings much more than what waits. Where joining does not make room,
	// because the resources are different or the series all new, the oldest
	// collections are dropped.
	Coalesce Overflow = iota + 1

	// DropOldest drops waiting collections, the oldest first, until there is
	// room. Choose it when fresh data is worth more than old data.
	DropOldest

	// DropNewest refuses the new collection with [ErrFull]. The queue neither
	// counts it nor drops anything. Note that a PeriodicReader whose Export failed
	// does not call the exporter's ForceFlush: a full queue then makes
	// MeterProvider.ForceFlush return before anything is flushed.
	DropNewest

	// Block makes Put wait for room, until its context ends. Waiting calls get
	// room in the order in which they came, so a large collection is not
	// overtaken for ever by small ones. Choose it when the caller of Export can
	// keep the collection and try again. A PeriodicReader does not: it gives up
	// after its timeout, and the collection is lost.
	Block
)

// String returns the name of the policy.
func (o Overflow) String() string {
	switch o {
	case Coalesce:
		return "Coalesce"
	case DropOldest:
		return "DropOldest"
	case DropNewest:
		return "DropNewest"
	case Block:
		return "Block"
	default:
		return fmt.Sprintf("Overflow(%d)", int(o))
	}
}

// Valid reports whether o is one of the policies.
func (o Overflow) Valid() bool { return o >= Coalesce && o <= Block }
