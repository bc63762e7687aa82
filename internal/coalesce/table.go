package coalesce

import (
	"math/bits"
	"slices"

	"github.com/asyncmetric/asyncmetric/batch"
)

// A seriesTable says which series the rounds of a lane have, by the ids of
// batch.AppendSeries: in how many rounds each of them is, and in which one last.
// It is a hash table with open addressing; the ids are hashes already. The zero
// value is an empty table.
type seriesTable struct {
	slots      []seriesSlot
	used       int // slots that have an id
	duplicates int // how many points could be saved: rounds that have a series which others have, too
}

type seriesSlot struct {
	id     uint64 // 0 if the slot is empty
	rounds uint32 // how many have the series
	last   uint32 // the number of the last one
}

const slotBytes = 16

// bytes returns the size of the table.
func (t *seriesTable) bytes() int { return slotBytes * len(t.slots) }

// add says that a round, which no later round has followed, has some series.
func (t *seriesTable) add(ids []uint64, round uint32) {
	t.grow(len(ids))
	for _, id := range ids {
		s := t.slot(id)
		switch {
		case s.id == 0:
			t.used++
			*s = seriesSlot{id | 1, 1, round}
		case s.last == round && s.rounds > 0: // a series that occurs twice
		default:
			if s.rounds++; s.rounds > 1 {
				t.duplicates++
			}
			s.last = round
		}
	}
}

// remove says that one round fewer has some series.
func (t *seriesTable) remove(ids []uint64) {
	for _, id := range ids {
		if s := t.slot(id); s.rounds > 0 {
			if s.rounds > 1 {
				t.duplicates--
			}
			s.rounds--
		}
	}
}

// restore takes back a removal.
func (t *seriesTable) restore(ids []uint64) {
	for _, id := range ids {
		if s := t.slot(id); s.id != 0 {
			if s.rounds++; s.rounds > 1 {
				t.duplicates++
			}
		}
	}
}

// move says that a round has some series last.
func (t *seriesTable) move(ids []uint64, round uint32) {
	for _, id := range ids {
		t.slot(id).last = round
	}
}

// visit reports whether it is the first visit to a series that is in the table.
func (t *seriesTable) visit(id uint64) bool {
	s := t.slot(id)
	s.rounds++
	return s.rounds == 2
}

// distinct returns those of ids that are not among others, each once.
func distinct(ids, others []uint64) []uint64 {
	var t seriesTable
	t.add(others, 0)
	t.grow(len(ids))
	var list []uint64
	for _, id := range ids {
		if rounds, _ := t.find(id); rounds == 0 {
			t.add([]uint64{id}, 0)
			list = append(list, id)
		}
	}
	return list
}

// find returns how many rounds have a series, and the number of the last one.
func (t *seriesTable) find(id uint64) (rounds, last uint32) {
	if t.used == 0 {
		return 0, 0
	}
	s := t.slot(id)
	return s.rounds, s.last
}

// count returns how many of the series at least n rounds have.
func (t *seriesTable) count(ids []uint64, n uint32) (count int) {
	for _, id := range ids {
		if rounds, _ := t.find(id); rounds >= n {
			count++
		}
	}
	return count
}

// has reports whether a round is the last one to have any of the series.
func (t *seriesTable) has(ids []uint64, round uint32) bool {
	return slices.ContainsFunc(ids, func(id uint64) bool {
		rounds, last := t.find(id)
		return rounds > 0 && last == round
	})
}

// slot returns the slot that has the id, or the empty one that it belongs in.
func (t *seriesTable) slot(id uint64) *seriesSlot {
	id |= 1
	hi, _ := bits.Mul64(id, uint64(len(t.slots)))
	for at := int(hi); ; at++ {
		if at == len(t.slots) {
			at = 0
		}
		if s := &t.slots[at]; s.id == id || s.id == 0 {
			return s
		}
	}
}

// grow makes room for n more ids. A quarter of the slots stays empty.
func (t *seriesTable) grow(n int) {
	if 4*(t.used+n) <= 3*len(t.slots) {
		return
	}
	live := 0
	for _, s := range t.slots {
		if s.rounds > 0 {
			live++
		}
	}
	old := t.slots
	t.slots = make([]seriesSlot, (live+n)*3/2+1)
	t.used = live
	for _, s := range old {
		if s.rounds > 0 {
			*t.slot(s.id) = s
		}
	}
}

// seriesOf appends the ids of the series of some pieces.
func seriesOf(ids []uint64, pieces []*Piece) []uint64 {
	for _, p := range pieces {
		ids = batch.AppendSeries(ids, p.Data())
	}
	return ids
}
