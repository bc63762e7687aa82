package queue

import "fmt"

// Overflow is what a queue does with a new collection for which it has no
// room. The zero value is not a policy.
type Overflow int

const (
	// Coalesce joins collections that wait, as batch.Fold does: resolution in time
	// is lost, and no total is. It joins collections of one resource that follow
	// each other, however many resources there are and whether a collection
	// arrives whole or in pieces. The resolution of all that waits stays even,
	// however long the queue is full, and what is newest is finer. If memory is
	// short, exemplars are dropped before anything is joined.
	//
	// A Put for which there is no room waits until there is, as long as its context
	// allows, or [Grace] if that has ended. Only where there is little left to join,
	// because most series come once, are the points dropped that a Put changed
	// longest ago, and of these none whose series waits in newer data as well.
	//
	// This is what a [Memory] does. The queue of package spool joins neighbours only,
	// and drops whole collections.
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
