package coalesce

import (
	"slices"
)

// A separation finds out whether a round continues the one before it in its lane:
// whether they have no series in common.
type separation struct {
	backlog      *Backlog
	older, newer *round
	versions     [2]int
	pieces       []*Piece // of newer
	continues    bool     // newer continues older
}

// separate returns the step for the oldest round that has not been compared with
// the one before it, or nil.
func (b *Backlog) separate() Step {
	r := b.unseparated.Oldest()
	if r == nil {
		return nil
	}
	if r.lane.stale {
		return b.survey(r.lane)
	}
	s := &separation{backlog: b, older: r.before(), newer: r, pieces: slices.Collect(r.pieces.All())}
	s.versions = s.current()
	return s
}

func (s *separation) current() (versions [2]int) {
	if s.older != nil {
		versions[0] = s.older.version
	}
	versions[1] = s.newer.version
	return versions
}

func (s *separation) Bytes() int { return 0 }

func (s *separation) Run(Buffers) {
	l := s.newer.lane
	ids := seriesOf(nil, s.pieces)
	if s.continues = s.older != nil && !l.table.has(ids, s.older.number); s.continues {
		s.newer.number = s.older.number
	} else {
		l.numbers++
		s.newer.number = l.numbers
	}
	l.table.add(ids, s.newer.number)
}

func (s *separation) Commit() Effect {
	b, l := s.backlog, s.newer.lane
	b.weigh(l)
	if s.versions != s.current() || s.newer.before() != s.older || !s.newer.inUnseparated.In() {
		l.stale = true
		return Effect{}
	}
	s.newer.inUnseparated.Remove()
	switch {
	case s.continues:
		parts := max(s.older.parts, s.newer.parts)
		b.unite(s.older, s.newer)
		s.older.parts = parts
		b.rerank(s.older)
	case s.older != nil:
		b.pair(s.newer)
	}
	b.unpark(l)
	return Effect{}
}

// unite makes the pieces of newer, which follows older in its lane, part of older.
func (b *Backlog) unite(older, newer *round) {
	older.points += newer.points
	older.version++
	older.number = newer.number
	for p := range newer.pieces.All() {
		p.inRound.Remove()
		p.round = older
		older.pieces.Push(&p.inRound, p)
	}
	b.removeRound(newer)
}

// A forgetting takes a piece that has left out of the table of its lane.
type forgetting struct {
	backlog *Backlog
	*Departure
}

// forget returns the step for a piece that has left, or nil.
func (b *Backlog) forget() Step {
	if len(b.departed) == 0 {
		return nil
	}
	d := b.departed[0]
	b.departed = slices.Delete(b.departed, 0, 1)
	return &forgetting{b, d}
}

func (*forgetting) Bytes() int { return 0 }

func (f *forgetting) Run(Buffers) { f.lane.table.remove(f.ids) }

func (f *forgetting) Commit() Effect {
	f.backlog.unpark(f.lane)
	return Effect{}
}

// A survey makes the table of a lane anew.
type survey struct {
	backlog *Backlog
	lane    *lane
	rounds  []*round
	pieces  [][]*Piece
	table   seriesTable
}

func (b *Backlog) survey(l *lane) Step {
	s := &survey{backlog: b, lane: l}
	l.surveys++
	b.departed = slices.DeleteFunc(b.departed, func(d *Departure) bool { return d.lane == l })
	for r := range l.rounds.All() {
		if r.inUnseparated.In() {
			break
		}
		s.rounds = append(s.rounds, r)
		s.pieces = append(s.pieces, slices.Collect(r.pieces.All()))
	}
	l.stale = false // until it is stale again
	return s
}

func (s *survey) Bytes() int { return 0 }

func (s *survey) Run(Buffers) {
	var ids []uint64
	for i, r := range s.rounds {
		s.lane.numbers++
		r.number = s.lane.numbers
		ids = seriesOf(ids[:0], s.pieces[i])
		s.table.add(ids, r.number)
	}
}

func (s *survey) Commit() Effect {
	l := s.lane
	l.table = s.table
	s.backlog.weigh(l)
	s.backlog.unpark(l)
	return Effect{}
}
