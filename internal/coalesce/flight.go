package coalesce

import (
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// Take takes a piece out of the backlog until it is returned or has ended. The
// buffer stays with the piece. It returns what the caller has to Forget when it has
// released the lock, or nil.
func (b *Backlog) Take(p *Piece) (left *Departure) {
	if r := p.round; r != nil {
		if l := r.lane; !l.stale && !r.inUnseparated.In() {
			left = &Departure{lane: l, surveys: l.surveys, data: p.Data()}
		}
		p.peers, p.parts = r.pieces.Newest().Changed, r.parts
	}
	b.leave(p)
	p.inFlight = true
	b.inFlight++
	return left
}

// A Departure is a piece that was taken, and that the table of its lane still has.
type Departure struct {
	lane    *lane
	surveys int
	data    *metricdata.ResourceMetrics
	ids     []uint64
}

// Prepare does what needs no lock, while the collection is as it was.
func (d *Departure) Prepare() { d.ids = distinct(batch.AppendSeries(nil, d.data), nil) }

// Forget notes a departure that has been prepared.
func (b *Backlog) Forget(d *Departure) {
	if d.surveys == d.lane.surveys && b.lanes[d.lane.key] == d.lane {
		b.departed = append(b.departed, d)
	}
}

// End forgets a piece that has been taken.
func (b *Backlog) End(p *Piece) {
	p.inOrder.Remove()
	b.inFlight--
}

// Return puts back a piece that has been taken, at its place. If one that follows it
// is in flight as well, it is not joined any more with what would lie behind that,
// should it be returned, too.
func (b *Backlog) Return(taken *Piece) {
	p := &Piece{
		Buffer: taken.Buffer, Sets: taken.Sets, Position: taken.Position, Changed: taken.Changed,
		Oldest: taken.Oldest, Newest: taken.Newest, parts: taken.parts,
	}
	apart := b.isFollowed(taken)
	b.order.InsertBefore(&taken.inOrder, &p.inOrder, p)
	b.End(taken)
	b.enter(p)
	b.ages.InsertSorted(&p.inAges, p, p.isYounger)
	b.listExemplars(p)
	if apart {
		b.apart++
		return
	}
	l := b.laneOf(p.Data())
	l.stale = true
	r := &round{lane: l, position: p.Position, parts: max(1, p.parts), place: -1}
	b.addTo(r, p)
	next := l.rounds.Oldest()
	if next == nil {
		l.rounds.Push(&r.inLane, r)
		return
	}
	l.rounds.InsertBefore(&next.inLane, &r.inLane, r)
	if !next.inUnseparated.In() {
		b.pair(next)
	}
}

// isFollowed reports whether another piece comes behind p that is in flight, or stays
// apart because one was, and that may have later points of its series: not one that
// was of the same round.
func (b *Backlog) isFollowed(p *Piece) bool {
	behind, left := false, b.inFlight+b.apart
	for q := range b.order.All() {
		switch {
		case left == 0:
			return false
		case !q.inFlight && q.round != nil:
			continue
		case q == p:
			behind = true
		case behind && q.Changed > p.peers && laneKeyOf(q.Data()) == laneKeyOf(p.Data()):
			return true
		}
		left--
	}
	return false
}
