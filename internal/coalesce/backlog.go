// Package coalesce decides what a full queue joins and what it drops, and does
// both. It knows nothing of bounds, counters or goroutines: a queue has those.
//
// Collections of one resource are in a lane. A series belongs to one resource,
// so only the order within a lane matters. A lane is a sequence of rounds; in a
// round each series occurs in one piece only. A collection that arrives is a
// round of one piece. Under pressure,
//
//   - a round that shares no series with the one before it is united with it:
//     so a collection that was handed over in pieces is one round again;
//   - two rounds that follow each other in a lane are joined: what the newer one
//     takes up leaves the older one, and the rest of that stays as it is;
//   - the points that a Put changed longest ago are dropped, if nothing can be
//     joined any more.
package coalesce

import (
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/ring"
)

// A Backlog is all that waits in a queue. The queue's lock protects it, but for
// [Step.Run].
type Backlog struct {
	order       ring.Ring[Piece] // all pieces, in the order of their positions, and those in flight
	ages        ring.Ring[Piece] // those that wait, in the order in which Puts changed them
	exemplars   ring.Ring[Piece] // those that have exemplars, likewise
	unseparated ring.Ring[round] // not yet compared with the round before them
	lanes       map[laneKey]*lane
	pairs       pairs
	points      int
	bytes       int // of the pieces
	tables      int // bytes of the tables of all lanes
	claims      int // bytes that they may come to take: the sum of the claims of all lanes
	inFlight    int // how many pieces
	apart       int // how many pieces are not joined, see Return
	departed    []*Departure

	// Free is called with each buffer that is not used any more.
	Free func(*batch.Buffer)
	// Room returns how many bytes more may wait.
	Room func() int
}

// Len returns the number of pieces.
func (b *Backlog) Len() int { return b.ages.Len() }

// Points returns the number of data points.
func (b *Backlog) Points() int { return b.points }

// Bytes returns how many bytes of memory the backlog keeps alive.
func (b *Backlog) Bytes() int { return b.bytes + b.tables }

// Claim returns how many bytes of memory the backlog may come to keep alive while
// nothing is added to it: with the tables that it makes under pressure.
func (b *Backlog) Claim() int { return b.bytes + b.claims }

// ClaimPerPoint is how many bytes the table of its lane takes for a point, at most.
const ClaimPerPoint = 2 * slotBytes

// Push adds a piece whose position is higher than that of any other.
func (b *Backlog) Push(p *Piece) {
	b.enter(p)
	l := b.laneOf(p.Data())
	r := &round{lane: l, position: p.Position, parts: 1, place: -1}
	b.link(p, r)
	newest := l.rounds.Newest()
	l.rounds.Push(&r.inLane, r)
	b.unseparated.Push(&r.inUnseparated, r)
	if newest != nil {
		b.rerank(newest) // it is complete
	}
}

// link makes the newest piece part of a round.
func (b *Backlog) link(p *Piece, r *round) {
	b.addTo(r, p)
	b.order.Push(&p.inOrder, p)
	b.ages.Push(&p.inAges, p)
	b.listExemplars(p)
}

// listExemplars puts a piece on the list of those that have exemplars, or takes it
// off, as is right.
func (b *Backlog) listExemplars(p *Piece) {
	switch has := p.Buffer.Exemplars() > 0; {
	case has == p.inExemplars.In():
	case has:
		b.exemplars.InsertSorted(&p.inExemplars, p, p.isYounger)
	default:
		p.inExemplars.Remove()
	}
}

// enter counts a piece.
func (b *Backlog) enter(p *Piece) {
	p.points = p.Buffer.Points()
	p.bytes = p.Buffer.Bytes() + p.Sets
	b.points += p.points
	b.bytes += p.bytes
}

func (b *Backlog) laneOf(rm *metricdata.ResourceMetrics) *lane {
	key := laneKeyOf(rm)
	l := b.lanes[key]
	if l == nil {
		if b.lanes == nil {
			b.lanes = map[laneKey]*lane{}
		}
		l = &lane{key: key}
		b.lanes[key] = l
	}
	return l
}

// Next returns the piece to be taken next, or nil: the oldest one.
func (b *Backlog) Next() *Piece {
	for p := range b.order.All() {
		if !p.inFlight {
			return p
		}
	}
	return nil
}

// First returns the position of the oldest Put in the backlog, and when that was
// accepted; zero if there is none.
func (b *Backlog) First() (position uint64, oldest time.Time) {
	if p := b.Next(); p != nil {
		return p.Position, p.Oldest
	}
	return 0, time.Time{}
}

// Drop takes a piece out of the backlog for good.
func (b *Backlog) Drop(p *Piece) {
	if r := p.round; r != nil {
		r.lane.stale = true
	}
	b.remove(p)
}

func (b *Backlog) remove(p *Piece) {
	b.leave(p)
	p.inOrder.Remove()
}

// leave takes a piece out of all but the order.
func (b *Backlog) leave(p *Piece) {
	b.points -= p.points
	b.bytes -= p.bytes
	p.inAges.Remove()
	if p.inExemplars.In() {
		p.inExemplars.Remove()
	}
	r := p.round
	if r == nil {
		b.apart--
		return
	}
	p.inRound.Remove()
	b.count(r, -p.points)
	r.version++
	if r.pieces.Len() == 0 {
		b.removeRound(r)
	}
}

func (b *Backlog) removeRound(r *round) {
	l := r.lane
	b.unpair(r)
	if next := r.after(); next != nil && r.before() == nil {
		b.unpair(next)
	}
	r.inLane.Remove()
	if r.inUnseparated.In() {
		r.inUnseparated.Remove()
	}
	if l.rounds.Len() == 0 {
		b.tables -= l.weighed
		b.claims -= l.claim
		delete(b.lanes, l.key)
	}
}

// addTo makes p the newest piece of r.
func (b *Backlog) addTo(r *round, p *Piece) {
	p.round = r
	r.pieces.Push(&p.inRound, p)
	b.count(r, p.points)
}

// count counts points that a round has more than before, or fewer.
func (b *Backlog) count(r *round, points int) {
	r.points += points
	r.lane.points += points
	b.claim(r.lane)
}

// weigh counts the table of a lane.
func (b *Backlog) weigh(l *lane) {
	if b.lanes[l.key] == l {
		b.tables += l.table.bytes() - l.weighed
		l.weighed = l.table.bytes()
		b.claim(l)
	}
}

// claim counts what the table of a lane may come to take: as much as its points
// need, or what it has, where points have left.
func (b *Backlog) claim(l *lane) {
	claim := max(l.weighed, ClaimPerPoint*l.points)
	b.claims += claim - l.claim
	l.claim = claim
}
