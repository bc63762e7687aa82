package coalesce

import (
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// An examination finds out whether other points can take up those of the oldest
// piece, and what the collection for which there is no room has in common with
// its lane.
type examination struct {
	in     *Incoming
	oldest *Piece
	data   *metricdata.ResourceMetrics // of oldest
	lane   *lane                       // of oldest, nil for a piece that has been returned
	other  *lane                       // of in, or nil
}

func (b *Backlog) examine(oldest *Piece, in *Incoming, other *lane) Step {
	x := &examination{in: in, oldest: oldest, data: oldest.Data(), other: other}
	if oldest.round != nil {
		x.lane = oldest.round.lane
	}
	return x
}

func (x *examination) Bytes() int { return 0 }

func (x *examination) Run(Buffers) {
	in := x.in
	if !in.counted && in.Data != nil {
		in.ids = batch.AppendSeries(in.ids[:0], in.Data)
		in.series = seriesTable{}
		in.series.add(in.ids, 0)
		in.shared = 0
		if x.other != nil {
			in.shared = x.other.table.count(in.ids, 1)
		}
	}
	in.counted, in.needed = true, false
	if x.lane != nil {
		ids := batch.AppendSeries(nil, x.data)
		in.needed = x.lane.table.count(ids, 2) > 0 || x.lane == x.other && in.series.count(ids, 1) > 0
	}
}

func (x *examination) Commit() Effect {
	x.in.examined = x.oldest
	return Effect{}
}

// maxPortion says how much of a piece is dropped at once: one part of what waits
// in maxPortion.
const maxPortion = 16

// A dropping drops the points that a Put changed longest ago, or some of them.
type dropping struct {
	backlog *Backlog
	in      *Incoming
	piece   *Piece
	buffer  *batch.Buffer
	lane    *lane // nil for a piece that has been returned
	points  int
	rest    *batch.Buffer
}

// drop returns the step that drops p, or a portion of it.
func (b *Backlog) drop(p *Piece, in *Incoming) Step {
	d := &dropping{backlog: b, in: in, piece: p, buffer: p.Buffer, points: min(p.points, max(1, b.points/maxPortion))}
	if p.round != nil {
		d.lane = p.round.lane
	}
	return d
}

func (d *dropping) Bytes() int { return d.piece.bytes }

func (d *dropping) Run(buffers Buffers) {
	rm := d.buffer.Collection()
	if d.lane != nil {
		ids := batch.AppendSeries(nil, rm)
		d.lane.table.remove(distinct(ids[:d.points], ids[d.points:]))
	}
	if d.points < d.buffer.Points() {
		d.rest = new(batch.Buffer)
		batch.CopyFrom(d.rest, rm, d.points)
	}
}

func (d *dropping) Commit() (e Effect) {
	b, p := d.backlog, d.piece
	if d.in.Left || !p.inAges.In() || p.Buffer != d.buffer {
		if d.lane != nil {
			d.lane.stale = true
		}
		return e
	}
	if d.rest == nil {
		e.drop(b, p)
	} else {
		e.Dropped, e.Position = d.points, p.Position
		b.put(&part{piece: p, result: d.rest})
	}
	if d.lane != nil {
		b.unpark(d.lane)
	}
	return e
}

// drop drops a piece.
func (e *Effect) drop(b *Backlog, p *Piece) {
	e.dropped(p.points, p.Position)
	b.remove(p)
	b.Free(p.Buffer)
}

// A baring takes the exemplars from a piece.
type baring struct {
	backlog *Backlog
	piece   *Piece
}

// Bare returns the step that takes the exemplars from the piece that Puts changed
// longest ago of those that have any, or nil if there are none. They go before any
// resolution does, but for those of the newest piece.
func (b *Backlog) Bare() Step {
	if p := b.exemplars.Oldest(); p != nil && p != b.ages.Newest() {
		return &baring{b, p}
	}
	return nil
}

func (*baring) Bytes() int { return 0 }

func (*baring) Run(Buffers) {}

// Commit works in place: that takes no memory, and a fraction of the time of a
// copy.
func (s *baring) Commit() Effect {
	b, p := s.backlog, s.piece
	if !p.inExemplars.In() {
		return Effect{}
	}
	p.inExemplars.Remove()
	n := p.Buffer.DropExemplars()
	b.bytes -= p.bytes
	p.bytes = p.Buffer.Bytes() + p.Sets
	b.bytes += p.bytes
	return Effect{Exemplars: n}
}
