package coalesce

import (
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// An arrival joins a collection for which there is no room with the newest round
// of its lane.
type arrival struct {
	backlog *Backlog
	in      *Incoming
	older   *round
	version int
	from    []*part
	to      *part
	forced  bool // whatever has to be dropped for it
	alone   bool // nothing else waits
	done    bool
}

// arrive returns the step that joins in with r.
func (b *Backlog) arrive(r *round, in *Incoming, forced bool) Step {
	in.tried = attempt{r, r.version, forced}
	in.examined = nil
	return &arrival{
		backlog: b, in: in, older: r, version: r.version, from: partsOf(r), to: &part{data: in.Data}, forced: forced,
		alone: b.Len() == 1,
	}
}

// An attempt is an arrival that found no room.
type attempt struct {
	round   *round
	version int // of round
	forced  bool
}

// mayArrive reports whether there is hope that in can be joined with r as it is.
func (in *Incoming) mayArrive(r *round, forced bool) bool {
	return in.shared > 0 && in.tried != attempt{r, r.version, forced} && in.tried != attempt{r, r.version, true}
}

func (a *arrival) Bytes() int { return bytesOf(a.from) + batch.Bytes(a.in.Data) }

func (a *arrival) Run(buffers Buffers) {
	if a.done = a.alone && a.replace(); !a.done {
		_, a.done = fold(a.from, []*part{a.to}, buffers)
	}
}

// replace makes one piece of the two, if that adds no series to the larger one. So a
// collection that is larger than the bound is joined with its own series, and
// still waits alone.
func (a *arrival) replace() bool {
	older := a.from[0]
	whole := new(batch.Buffer)
	batch.Coalesce(whole, older.data, a.to.data)
	if whole.Points() > max(older.points(), a.to.points()) {
		return false
	}
	a.to.from = a.from
	a.to.result, a.to.data = whole, whole.Collection()
	older.result, older.data = new(batch.Buffer), &metricdata.ResourceMetrics{}
	return true
}

func (a *arrival) Commit() Effect {
	b, r := a.backlog, a.older
	if a.in.Left || !a.done || a.version != r.version || a.to.result == nil || !a.leavesRoom() {
		discard(b, a.from, []*part{a.to})
		return Effect{}
	}
	position, now := a.in.Accept()
	p := &Piece{
		Buffer: a.to.result, Sets: a.in.Sets, Position: position, Changed: position, Oldest: now, Newest: now,
	}
	before := b.points
	b.enter(p)
	b.link(p, r)
	r.version++
	r.parts++
	r.lane.table.add(a.in.ids, r.number)
	b.weigh(r.lane)
	a.to.piece, a.to.result = p, nil // put only makes it older
	b.apply(a.from, []*part{a.to})
	b.rerank(r)
	e := Effect{Admitted: true, Joined: before + a.in.Points - b.points}
	for none := new(Incoming); !a.in.Fits(0, 0) && b.Len() > 1; {
		s := b.Step(none)
		s.Run(noBuffers{})
		e.add(s.Commit())
	}
	return e
}

// leavesRoom reports whether what has become of the collection may wait now, or, if
// others may be dropped for it, alone: it is within the bound, or has its own series
// only.
func (a *arrival) leavesRoom() bool {
	b, dst := a.backlog, a.to.result
	if a.alone && pointsOf(a.from) == 0 {
		return true
	}
	if a.forced {
		return dst.Points() <= a.in.Points || a.in.Fits(dst.Points()-b.points, dst.Bytes()+a.in.Sets-b.bytes)
	}
	points, bytes := dst.Points(), dst.Bytes()+a.in.Sets
	for _, p := range a.from {
		if p.result != nil {
			points += p.result.Points() - p.piece.points
			bytes += p.result.Bytes() - p.piece.bytes
		}
	}
	return a.in.Fits(points, bytes)
}
