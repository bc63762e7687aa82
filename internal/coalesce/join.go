package coalesce

import (
	"slices"

	"github.com/asyncmetric/asyncmetric/batch"
)

// A joining makes one round of two that follow each other in a lane.
type joining struct {
	backlog      *Backlog
	older, newer *round
	versions     [2]int
	from, to     []*part
	isNewest     bool // newer is the newest round of its lane
	forced       bool // even if there is no room for the result
	shared       []uint64
	done         bool
}

// join returns the step that joins r with the round before it. Unless it is forced,
// it does nothing where the result is larger than the two, as that of exponential
// histograms may be, and there is no room for that.
func (b *Backlog) join(r *round, forced bool) Step {
	older := r.before()
	return &joining{
		backlog: b, older: older, newer: r, versions: [2]int{older.version, r.version},
		from: partsOf(older), to: partsOf(r), isNewest: !r.isComplete(), forced: forced,
	}
}

func (j *joining) Bytes() int { return bytesOf(j.from) + bytesOf(j.to) }

func bytesOf(parts []*part) (n int) {
	for _, p := range parts {
		n += p.piece.bytes
	}
	return n
}

func (j *joining) Run(buffers Buffers) {
	t := &j.newer.lane.table
	if j.isNewest { // what is compared with it next must know all that it has
		for _, p := range j.from {
			t.move(batch.AppendSeries(nil, p.data), j.newer.number)
		}
	}
	if j.shared, j.done = fold(j.from, j.to, buffers); j.done {
		t.remove(j.shared)
	}
}

func (j *joining) Commit() Effect {
	b, older, newer := j.backlog, j.older, j.newer
	if !j.done || j.versions != [2]int{older.version, newer.version} {
		newer.lane.stale = true
		discard(b, j.from, j.to)
		return Effect{}
	}
	if grown := grownBytes(j.from) + grownBytes(j.to); !j.forced && grown > 0 && grown > b.Room() {
		discard(b, j.from, j.to)
		newer.lane.table.restore(j.shared)
		b.park(newer)
		return Effect{}
	}
	before := b.points
	older.parts += newer.parts
	b.unite(older, newer)
	b.apply(j.from, j.to)
	b.rerank(older)
	return Effect{Joined: before - b.points}
}

// grownBytes returns how many bytes more the results take than the pieces.
func grownBytes(parts []*part) (n int) {
	for _, p := range parts {
		switch {
		case p.result == nil:
		case p.points() == 0:
			n -= p.piece.bytes
		default:
			n += p.result.Bytes() - p.piece.Buffer.Bytes()
		}
	}
	return n
}

// apply gives pieces what has become of them.
func (b *Backlog) apply(from, to []*part) {
	for _, p := range slices.Concat(to, from) {
		b.put(p)
	}
}

// discard frees what a step made in vain.
func discard(b *Backlog, parts ...[]*part) {
	for _, p := range slices.Concat(parts...) {
		if p.result != nil {
			b.Free(p.result)
		}
	}
}
