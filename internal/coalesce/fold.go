package coalesce

import (
	"slices"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// A part is a piece that takes part in a join, and what it becomes.
type part struct {
	piece  *Piece // nil for a collection that is not in the backlog
	data   *metricdata.ResourceMetrics
	result *batch.Buffer // nil while nothing has changed
	from   []*part       // whose data it took up
}

func (p *part) points() int { return batch.Points(p.data) }

func (p *part) set(result *batch.Buffer, buffers Buffers) {
	if p.result != nil {
		buffers.Put(p.result)
	}
	p.result, p.data = result, result.Collection()
}

// compact replaces a result that has more memory than it needs: it counts against the
// bound.
func (p *part) compact(buffers Buffers) {
	if p.result == nil || p.points() == 0 {
		return
	}
	if need := batch.Bytes(p.data); p.result.Bytes() > need {
		exact := new(batch.Buffer)
		batch.Copy(exact, p.data)
		p.set(exact, buffers)
	}
}

func partsOf(r *round) []*part {
	parts := make([]*part, 0, r.pieces.Len())
	for p := range r.pieces.All() {
		parts = append(parts, &part{piece: p, data: p.Data()})
	}
	return parts
}

// fold moves what the newer parts share with the older ones to the newer ones, and
// returns the ids of those series. It reports false if it was stopped. In a round, a
// series occurs in one part only, so each series moves at most once.
func fold(older, newer []*part, buffers Buffers) (shared []uint64, done bool) {
	var ids []uint64
	var owners seriesTable
	for i, n := range newer {
		ids = batch.AppendSeries(ids[:0], n.data)
		owners.add(ids, uint32(i))
	}
	for _, o := range older {
		ids = batch.AppendSeries(ids[:0], o.data)
		var with []*part
		for _, id := range ids {
			rounds, i := owners.find(id)
			if rounds == 0 {
				continue
			}
			if owners.visit(id) {
				shared = append(shared, id)
			}
			if n := newer[i]; len(with) == 0 || with[len(with)-1] != n && !slices.Contains(with, n) {
				with = append(with, n)
			}
		}
		for _, n := range with {
			if buffers.Stopped() {
				return nil, false
			}
			foldPair(o, n, buffers)
		}
	}
	for _, p := range slices.Concat(older, newer) {
		p.compact(buffers)
	}
	return shared, true
}

func foldPair(o, n *part, buffers Buffers) {
	if o.points() == 0 {
		return
	}
	dst, rest := buffers.Get(batch.Bytes(n.data)), new(batch.Buffer)
	batch.Fold(dst, rest, o.data, n.data)
	n.from = append(n.from, o)
	n.set(dst, buffers)
	o.set(rest, buffers)
}

// pointsOf returns the number of points that the parts have now.
func pointsOf(parts []*part) (n int) {
	for _, p := range parts {
		n += p.points()
	}
	return n
}

// put makes the piece of p what has become of it. Parts whose data it took up make
// it older.
func (b *Backlog) put(p *part) {
	piece := p.piece
	for _, o := range p.from {
		if o.piece.Position < piece.Position {
			piece.Position = o.piece.Position
			piece.inOrder.Remove()
			b.order.InsertBefore(&o.piece.inOrder, &piece.inOrder, piece)
		}
		if o.piece.Oldest.Before(piece.Oldest) {
			piece.Oldest = o.piece.Oldest
		}
	}
	if p.result == nil {
		return
	}
	b.Free(piece.Buffer)
	if p.result.Points() == 0 {
		b.Free(p.result)
		b.remove(piece)
		return
	}
	before := piece.points
	b.points -= before
	b.bytes -= piece.bytes
	if piece.points > 0 {
		piece.Sets = piece.Sets * min(p.result.Points(), piece.points) / piece.points
	}
	piece.Buffer = p.result
	b.enter(piece)
	if r := piece.round; r != nil {
		b.count(r, piece.points-before)
		r.version++
	}
	b.listExemplars(piece)
}
