package queue

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/batch"
)

var (
	// ErrFull is returned by Put under [DropNewest] when there is no room. The
	// exporter's Export returns it too. It is also the Err of each [Drop] with the
	// reason [ReasonOverflow].
	ErrFull = errors.New("queue is full")

	// ErrClosed is returned by Start after Close, by Put after Seal or Close, by
	// Take after Seal when no entry waits, and by Take after Close. The exporter's
	// Export returns metric.ErrExporterShutdown instead.
	ErrClosed = errors.New("queue is closed")

	// ErrInUse is returned by Start when the queue has been started before. The
	// error of asyncmetric.New wraps it.
	ErrInUse = errors.New("queue is used by another exporter")

	// ErrEmpty is returned by Take when no entry waits.
	ErrEmpty = errors.New("queue is empty")

	// ErrDeclined is returned by Take when the next entry is beyond the [Limit].
	ErrDeclined = errors.New("the next entry is beyond the limit")
)

// A Queue keeps collections, in the order in which it accepted them, until they
// are settled: exported or dropped.
//
// One exporter uses a queue. All methods are safe for concurrent use. Only Put,
// Take and Close may block: Put and Take honour their context, and Close takes
// no longer than its own clean-up. A queue may run one goroutine of its own,
// until Close. It calls the functions of its [Observer] without holding a lock.
//
// Every accepted data point has one end, so at any instant Stats satisfies
//
//	Accepted == Exported + Dropped + Coalesced + Queued
type Queue interface {
	// Start gives the queue to its user, whose observer hears from now on what
	// the queue does on its own account, and what it did before Start. All other
	// methods but Take work before Start; Take needs it. Start returns [ErrInUse]
	// if the queue has been started before, and else [ErrClosed] if it is closed.
	Start(Observer) error

	// Put accepts rm as the newest collection. It copies what it keeps: the
	// caller may reuse rm when Put has returned. A collection without data points
	// is accepted and forgotten.
	//
	// On success rm is queued or, where the queue is full, the overflow policy
	// has made room. Under [Coalesce] Put may wait while the queue makes room, under
	// [Block] until there is room. A collection that is larger than the whole bound
	// is accepted where nothing else waits. On an error the queue is unchanged,
	// except that it may have made room: [ErrClosed] after Seal or Close, [ErrFull]
	// under DropNewest, the error of ctx when it ended while Put waited. An
	// implementation that cannot know what became of rm when ctx ends says so in the
	// error.
	//
	// A context that has ended on entry does not refuse what need not wait: the
	// reader of the SDK hands over its last collection with such a context. Put then
	// waits at most [Grace] for a disk, for a network or, under Coalesce, while the
	// queue makes room. Under Block it does not wait. To accept a collection and to
	// seal the queue is one atomic decision: what Put accepted, Take hands out.
	Put(ctx context.Context, rm *metricdata.ResourceMetrics) error

	// Take hands out the oldest entry that waits. The entry is in flight from
	// then on: it still counts as queued, but overflow and the bound no longer
	// concern it. When nothing waits, Take returns [ErrEmpty], or [ErrClosed] after
	// Seal: then only Return can make an entry wait again. After Close, Take
	// returns ErrClosed. Take does not wait until something is put in, but it may
	// wait for a disk or a network as long as ctx allows. An entry beyond the limit
	// stays where it is, and Take returns [ErrDeclined]. On any error nothing has
	// been handed out.
	Take(ctx context.Context, limit Limit) (Entry, error)

	// Ready returns a channel with room for one signal, always the same. It holds
	// a signal after an entry began to wait, after First of Stats moved for
	// another reason than Settle, and after Seal and Close; Stats shows by then
	// what happened. So a caller of Take that got ErrEmpty misses nothing by
	// receiving from the channel. A signal does not promise an entry.
	Ready() <-chan struct{}

	// Stats returns the counters and sizes of one instant. It does not wait for a
	// Put, a Take or a Settle that is under way.
	Stats() Stats

	// Info returns what does not change in the life of the queue.
	Info() Info

	// Seal makes Put refuse from now on; calls of Put that wait for room return
	// [ErrClosed]. What is queued stays and can be taken.
	Seal()

	// Close ends the queue for good, and seals it first where that has not been
	// done. What waits is dropped, with [ReasonShutdown], or kept for the next
	// process where the queue is durable. Close returns when the observer has heard
	// of all that it dropped. Entries in flight can still be settled or returned.
	// Further calls have no effect and return nil.
	Close() error
}

// An Entry is a collection that a [Queue] handed out for delivery. It belongs
// to the caller of Take, and only one goroutine at a time may use it. It ends
// with Settle or Return; a second call of either is an error and changes
// nothing.
type Entry interface {
	// Collection returns the data. The caller must not change it. It is valid
	// until Settle or Return is called.
	Collection() *metricdata.ResourceMetrics

	// Points returns the number of data points in the collection, as batch.Points
	// counts them.
	Points() int

	// Position returns the position of the collection, and where several have
	// been joined into one that of the oldest.
	Position() uint64

	// Accepted returns when the collection was accepted, and where several have
	// been joined into one when the newest was.
	Accepted() time.Time

	// Settle ends the entry. An outcome that does not account for all of its
	// data points is an error and changes nothing. Any other error means that the
	// queue could not record the end: the entry has ended in this process, but a
	// durable queue may hand the collection out again after a restart.
	Settle(Outcome) error

	// Return gives the entry back: it waits again, before all that are newer,
	// even if the queue then exceeds its bound. The next Take that hands out the
	// collection returns another Entry. After Close a durable queue keeps the
	// collection, and any other drops it, with [ReasonShutdown].
	Return() error
}

// An Outcome says what became of the data points of an [Entry]. Together they
// are all of its points.
type Outcome struct{ Exported, Dropped int }

// A Limit says which entry Take may hand out. The zero value admits any.
type Limit struct {
	// MaxPoints is the largest number of data points; zero means no limit.
	MaxPoints int
	// Resource is the resource that the collection must have; nil means any.
	Resource *resource.Resource
}

// Admits reports whether a collection with the given number of data points is
// within the limit.
func (l Limit) Admits(rm *metricdata.ResourceMetrics, points int) bool {
	return (l.MaxPoints == 0 || points <= l.MaxPoints) &&
		(l.Resource == nil || batch.SameResource(rm, &metricdata.ResourceMetrics{Resource: l.Resource}))
}

// Info is what does not change in the life of a queue.
type Info struct {
	// Durable reports whether what is queued outlives Close. The exporter returns
	// what it could not deliver to a durable queue, and settles it as dropped in
	// any other.
	Durable bool
	// MaxPoints is how many data points may wait; zero if the queue is not
	// bounded in data points.
	MaxPoints int
	// MaxBytes is how many bytes may wait, of memory, of a disk or of whatever
	// else the queue is in; zero if the queue is not bounded in bytes.
	MaxBytes int64
	// CountsBytes reports whether Stats has Bytes. A queue that does not know how
	// many there are leaves it false, and Bytes zero.
	CountsBytes bool
	// Overflow is what a full queue does.
	Overflow Overflow
}

// Stats describes a queue at one instant. The counters are in data points, if
// they do not say otherwise, and never decrease. A durable queue counts what it found when it was opened as
// accepted. A queue that only hands over to other processes counts what it has
// handed over as exported.
type Stats struct {
	// Accepted counts what was put in. What Put refused is in no counter.
	Accepted uint64
	// Exported counts what was settled as exported.
	Exported uint64
	// Dropped counts what was settled as dropped, and what the queue dropped.
	Dropped uint64
	// Coalesced counts what became part of another data point on overflow.
	Coalesced uint64
	// Exemplars counts exemplars, not data points: those that the queue left out
	// of what waits because it was short of memory. Their data points stay.
	Exemplars uint64

	// Queued is the number of data points that are not settled.
	Queued int
	// InFlight is how many of those are in entries that have been taken.
	InFlight int
	// Bytes is how many bytes count against MaxBytes of [Info]: those of what
	// waits, and in memory those of the buffers kept for reuse as well. What is in
	// flight is not among them. It is zero if the queue does not know, see
	// CountsBytes of Info.
	Bytes int64
	// Collections is the number of entries that are not settled.
	Collections int
	// Oldest is when the oldest data that is not settled was accepted; zero if
	// there is none.
	Oldest time.Time

	// First is the position of the oldest collection that is not settled, or
	// whose drop the observer has not heard of yet; zero if there is none.
	First uint64
	// Last is the position of the newest collection accepted; zero if there was
	// none. Positions grow from one accepted collection to the next.
	Last uint64
}

// Passed reports whether every collection up to and including a position has
// been settled.
func (s Stats) Passed(position uint64) bool { return s.First == 0 || s.First > position }

// Grace is how long Put waits for a disk or a network, or under [Coalesce] while
// the queue makes room, where its context had ended on entry.
const Grace = 100 * time.Millisecond

// WithGrace returns a context for what Put has to wait for: ctx itself, or, if
// that has ended, one that ends after [Grace]. It is for implementations of
// [Queue].
func WithGrace(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(ctx), Grace)
}
