package coalesce

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
