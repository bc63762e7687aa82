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
	done         bool
}

// join returns the step that joins r with the round before it.
func (b *Backlog) join(r *round) Step {
	older := r.before()
	return &joining{
		backlog: b, older: older, newer: r, versions: [2]int{older.version, r.version},
		from: partsOf(older), to: partsOf(r), isNewest: !r.isComplete(),
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
	var shared []uint64
	if shared, j.done = fold(j.from, j.to, buffers); j.done {
		t.remove(shared)
	}
}

func (j *joining) Commit() Effect {
	b, older, newer := j.backlog, j.older, j.newer
	if !j.done || j.versions != [2]int{older.version, newer.version} {
		newer.lane.stale = true
		discard(b, j.from, j.to)
		return Effect{}
	}
	before := b.points
	older.parts += newer.parts
	b.unite(older, newer)
	b.apply(j.from, j.to)
	b.rerank(older)
	return Effect{Joined: before - b.points}
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
