package coalesce

import (
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// A Step is work that makes room, or finds out how. One goroutine at a time works
// at a backlog: it gets a step under the lock of the queue, runs it without, and
// commits it under the lock again. Meanwhile pieces may be put in and taken; a
// step that this has overtaken changes nothing.
type Step interface {
	// Bytes returns how much memory Run may need for its result.
	Bytes() int
	// Run does the work. It does not need the lock of the queue.
	Run(Buffers)
	// Commit changes the backlog, under the lock of the queue.
	Commit() Effect
}

// Buffers are where a step gets the memory for its result, and where it gives
// back what it does not need. The methods may be called without a lock.
type Buffers interface {
	Get(bytes int) *batch.Buffer
	Put(*batch.Buffer)
	// Stopped reports whether the work is not wanted any more.
	Stopped() bool
}

// An Effect is what a step did.
type Effect struct {
	Joined    int    // data points that have become part of others
	Dropped   int    // data points
	Position  uint64 // of the oldest Put that they are of
	Exemplars int    // that were left out
	Admitted  bool   // the collection for which there was no room waits now
}

func (e *Effect) add(other Effect) {
	e.Joined += other.Joined
	e.Exemplars += other.Exemplars
	e.dropped(other.Dropped, other.Position)
}

func (e *Effect) dropped(points int, position uint64) {
	if e.Dropped == 0 || points > 0 && position < e.Position {
		e.Position = position
	}
	e.Dropped += points
}

// noBuffers makes new buffers.
type noBuffers struct{}

func (noBuffers) Get(int) *batch.Buffer { return new(batch.Buffer) }
func (noBuffers) Put(*batch.Buffer)     {}
func (noBuffers) Stopped() bool         { return false }

// An Incoming is a collection for which there is no room. The exported fields but
// Left do not change.
type Incoming struct {
	Data   *metricdata.ResourceMetrics
	Points int
	Sets   int // see [Piece]

	// Fits reports whether the given numbers of points and bytes may wait besides
	// what is in the backlog.
	Fits func(points, bytes int) bool
	// Left says that it does not wait for room any more. The queue sets it, under its
	// lock.
	Left bool

	// Accept returns the position for it, and the time.
	Accept func() (position uint64, now time.Time)

	ids      []uint64 // of its series
	series   seriesTable
	examined *Piece  // the oldest piece; what is known then:
	needed   bool    // others have some of the series of that piece
	shared   int     // how many of its own series wait already
	counted  bool    // shared is known
	tried    attempt // to join it
}

// Step returns what to do next to make room, or nil if there is nothing to do
// before a collection needs room. In is the collection that does, or nil. A
// backlog for which there is one, and that is not empty, always has a next step.
func (b *Backlog) Step(in *Incoming) Step {
	if s := b.forget(); s != nil {
		return s
	}
	if s := b.separate(); s != nil {
		return s
	}
	if r := b.firstPair(); r != nil && (in != nil || r.isComplete()) {
		if r.lane.stale {
			return b.survey(r.lane)
		}
		return b.join(r, false)
	}
	if in == nil {
		return nil
	}
	oldest := b.ages.Oldest()
	var own *lane
	if in.Data != nil {
		own = b.lanes[laneKeyOf(in.Data)]
	}
	if in.examined != oldest {
		if l := own; l != nil && l.stale {
			in.counted = false
			return b.survey(l)
		}
		if r := oldest.round; r != nil && r.lane.stale {
			return b.survey(r.lane)
		}
		return b.examine(oldest, in, own)
	}
	// To lose no total, these two come before any drop, whatever the work:
	r := oldest.round
	if r != nil && in.needed && r.isComplete() {
		in.examined = nil
		return b.join(r.after(), true)
	}
	if own != nil {
		newest := own.rounds.Newest()
		forced := in.needed && r == newest
		worth := worthwhile*in.shared >= newest.points+in.Points
		suffices := in.Fits(in.Points-in.shared, 0)
		switch {
		case !forced && !worth && !suffices:
		case in.mayArrive(newest, forced):
			return b.arrive(newest, in, forced)
		case newest.before() != nil: // older rounds may have what it shares
			in.examined = nil
			return b.join(newest, true)
		}
	}
	return b.drop(oldest, in)
}
