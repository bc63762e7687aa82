package queue

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

var (
	// ErrFull is returned by Put under [DropNewest] when there is no room. The
	// exporter's Export returns it too. It is also the Err of each [Drop] with
	// the reason [ReasonOverflow].
	ErrFull = errors.New("queue is full")

	// ErrClosed is returned by Put after Seal or Close, by Take when there will
	// never be another entry, and by Wait when there is nothing to wait for any
	// more. The exporter's Export returns metric.ErrExporterShutdown instead.
	ErrClosed = errors.New("queue is closed")

	// ErrEmpty is returned by Take when no entry waits at the moment.
	ErrEmpty = errors.New("queue is empty")

	// ErrDeclined is returned by Take when its caller does not want the entry
	// that is next.
	ErrDeclined = errors.New("the next entry is not wanted")
)

// A Queue keeps collections, in the order in which they were accepted, until
// they have ended: delivered or dropped.
//
// One exporter uses a queue. All methods are safe for concurrent use, and none
// but Put, Take, Wait and Close may block; those honour their context, and
// Close takes no longer than its own clean-up. An implementation calls the
// functions of its [Observer] without holding a lock.
//
// Every accepted data point has one end, so at any instant Stats satisfies
//
//	Accepted == Exported + Dropped + Coalesced + Queued
type Queue interface {
	// Observe names who learns of what the queue does on its own account. The
	// exporter calls it once, before any other method.
	Observe(Observer)

	// Put accepts rm as the newest collection. It copies what it keeps: rm may
	// be reused once Put has returned. A collection without data points is
	// accepted and forgotten.
	//
	// On success rm is queued or, where the queue is full, the overflow policy
	// has made room; a collection that is larger than the whole bound is
	// accepted where nothing else waits. Otherwise nothing has been queued:
	// [ErrClosed] after Seal or Close, the error of ctx when it ended first,
	// [ErrFull] under [DropNewest]. Being accepted and the queue being sealed
	// is one atomic decision: what Put accepted, Take will hand out.
	Put(ctx context.Context, rm *metricdata.ResourceMetrics) error

	// Take hands out the oldest entry that has not been handed out yet. The
	// entry is in flight from then on: it still counts as queued, but overflow
	// and the bound no longer concern it. When nothing waits Take returns
	// [ErrEmpty], or [ErrClosed] if nothing will ever wait again; it does not
	// wait for a Put, but it may wait, as long as ctx allows, for a disk or a
	// network. On any error nothing has been handed out.
	//
	// If want is given and reports false of the collection, the entry stays
	// where it is, and Take returns [ErrDeclined]. Want may be called with a lock
	// held: it must return at once, use nothing of the queue, and leave the
	// collection as it is.
	Take(ctx context.Context, want func(*metricdata.ResourceMetrics) bool) (Entry, error)

	// Ready returns a channel with room for one signal, always the same. It
	// holds a signal after an entry began to wait and after Seal and Close, so
	// that whoever got ErrEmpty from Take misses nothing by receiving from it.
	// A signal does not promise an entry.
	Ready() <-chan struct{}

	// Last returns the position of the newest collection accepted, 0 if there
	// was none. Positions grow from one accepted collection to the next.
	Last() uint64

	// Wait blocks until every collection accepted at a position up to and
	// including the given one has ended, or returns the error of ctx. If they
	// have ended already, it returns nil also when ctx has. It returns
	// [ErrClosed] if Close keeps such a collection for the next
	// process.
	Wait(ctx context.Context, position uint64) error

	// Stats returns the counters and sizes of one instant.
	Stats() Stats

	// Seal makes Put refuse from now on, and those that wait in it return
	// [ErrClosed]. What is queued stays and can be taken.
	Seal()

	// Close ends the queue for good; it seals it first where that has not been
	// done. What waits is dropped, with reason [ReasonShutdown], or, where the
	// queue is durable, kept for the next process. Entries in flight can still
	// be settled; a durable queue keeps those that have not been. Further
	// calls have no effect and return nil.
	Close() error

	// Durable reports whether what is queued outlives Close. The exporter
	// leaves what it could not deliver in a durable queue unsettled and
	// settles it as dropped in any other.
	Durable() bool
}

// An Entry is a collection that a [Queue] handed out for delivery. It belongs
// to whoever took it, and only one goroutine at a time may use it.
type Entry interface {
	// Collection returns the data. It must not be changed and is valid until
	// Settle is called.
	Collection() *metricdata.ResourceMetrics

	// Points returns the number of data points in the collection.
	Points() int

	// Position returns the position of the collection, and where several have
	// been joined into one that of the oldest.
	Position() uint64

	// Accepted returns when the collection was accepted, and where several
	// have been joined into one, when the newest was.
	Accepted() time.Time

	// Settle ends the entry: of its data points so many have been exported and
	// dropped, all of them together. The entry must not be used any more.
	// Numbers that do not add up, and a second call, are errors and change
	// nothing. Any other error means that the queue could not record the end; a
	// durable queue may then hand the collection out again.
	Settle(exported, dropped int) error
}

// Stats describes a queue at one instant. The counters are in data points and
// never decrease; a durable queue counts what it found when it was opened as
// accepted.
type Stats struct {
	// Accepted counts what was put in, including what DropNewest then refused.
	Accepted uint64
	// Exported counts what was settled as exported.
	Exported uint64
	// Dropped counts what was settled as dropped, and what the queue dropped.
	Dropped uint64
	// Coalesced counts what was taken up by another data point on overflow.
	Coalesced uint64

	// Queued is the number of data points that have not ended.
	Queued int
	// InFlight is how many of those are in entries that have been taken.
	InFlight int
	// Collections is the number of entries that have not ended.
	Collections int
	// Oldest is when the oldest data that has not ended was accepted; zero if
	// there is none.
	Oldest time.Time

	// Capacity is how many data points may wait; zero if the queue is not
	// bounded in data points.
	Capacity int
}

// An Observer learns of what a queue does on its own account. Both functions
// are set. They may be called concurrently, from within any method of the
// queue, and must not call the queue's Close or Wait.
type Observer struct {
	// Dropped is called for what the queue drops, what DropNewest refuses
	// included, once for each call of Put or Close that made it do so.
	Dropped func(Drop)
	// Failed is called for an error that no caller can be told of.
	Failed func(error)
}

// A Drop says that data points ended without being exported.
type Drop struct {
	// Points is the number of data points, at least 1.
	Points int
	// Reason says why, in one of the Reason constants.
	Reason DropReason
	// Err is the error behind the drop; never nil.
	Err error
}

// A DropReason is why data points were dropped.
type DropReason string

// The reasons for a [Drop].
const (
	// ReasonOverflow: the queue was full.
	ReasonOverflow DropReason = "overflow"
	// ReasonPermanent: the inner exporter failed in a way that is not retried, or
	// a durable queue cannot express the data.
	ReasonPermanent DropReason = "permanent"
	// ReasonElapsed: the time for retries was used up.
	ReasonElapsed DropReason = "elapsed"
	// ReasonAge: the data was too old.
	ReasonAge DropReason = "age"
	// ReasonShutdown: Shutdown had to end before the data was delivered.
	ReasonShutdown DropReason = "shutdown"
	// ReasonCorrupt: what a durable queue had stored could not be read back.
	ReasonCorrupt DropReason = "corrupt"
)
