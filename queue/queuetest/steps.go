package queuetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
)

// A step is something that a trial can do.
type step struct {
	name string
	do   func(*trial) error
}

var (
	putPiece      = step{"put a piece", (*trial).putPiece}
	putCollection = step{"put a collection", (*trial).putCollection}
	take          = step{"take", (*trial).take}
	exported      = step{"settle as exported", func(tr *trial) error { return tr.settle(0) }}
	partlyDropped = step{"settle as dropped in part", (*trial).settleInPart}
	giveBack      = step{"return", (*trial).giveBack}
	deliverAll    = step{"deliver all", (*trial).deliverAll}
)

// anyStep has each step as often as it comes, compared to the others.
var anyStep = []step{
	putCollection, putCollection, putCollection, putPiece, putPiece, putPiece, putPiece,
	take, take, exported, partlyDropped, giveBack,
}

// putPiece puts in a piece of a collection of the source whose turn it is.
func (tr *trial) putPiece() error {
	for len(tr.pending) == 0 {
		tr.pending = tr.sources[tr.turn].collect()
		tr.turn = (tr.turn + 1) % len(tr.sources)
	}
	rm := tr.pending[0]
	tr.pending = tr.pending[1:]
	if err := tr.queue.Put(tr.ctx, rm); err != nil {
		return err
	}
	tr.accepted += uint64(batch.Points(rm))
	tr.reference.put(rm, tr.queue.Stats().Last)
	tr.rival.put(rm)
	return nil
}

// putCollection puts in all that is left of a collection.
func (tr *trial) putCollection() error {
	for {
		if err := tr.putPiece(); err != nil || len(tr.pending) == 0 {
			return err
		}
		if err := tr.check(); err != nil {
			return err
		}
	}
}

// take takes the oldest entry that waits, if there is one.
func (tr *trial) take() error {
	if tr.stats.Queued == tr.stats.InFlight {
		tr.gaps = nil // by overflow
		return nil
	}
	e, err := tr.queue.Take(tr.ctx, queue.Limit{})
	for errors.Is(err, queue.ErrEmpty) { // it may take a moment to arrive
		select {
		case <-tr.queue.Ready():
		case <-tr.ctx.Done():
			return fmt.Errorf("no signal from Ready: %+v", tr.queue.Stats())
		}
		e, err = tr.queue.Take(tr.ctx, queue.Limit{})
	}
	if err != nil {
		return err
	}
	if n := batch.Points(e.Collection()); n != e.Points() || n == 0 {
		return fmt.Errorf("an entry of %d data points says that it has %d", n, e.Points())
	}
	d, err := tr.reference.take(e.Collection(), e.Position())
	if err != nil {
		return err
	}
	tr.inFlight = append(tr.inFlight, flight{e, d})
	switch {
	case d.oldest <= tr.passed:
		return fmt.Errorf("position %d had passed, and data of it comes out", d.oldest)
	case d.position > d.oldest:
		return fmt.Errorf("an entry of position %d has data of %d", d.position, d.oldest)
	case d.position < tr.newest && d.position > tr.returned:
		return fmt.Errorf("position %d comes out after %d", d.position, tr.newest)
	}
	tr.newest = max(tr.newest, d.position)
	d.turn = tr.turnOf(d.position)
	return nil
}

// turnOf returns the turn of an entry that is taken. One that was given back has
// that of the first time.
func (tr *trial) turnOf(position uint64) int {
	slices.SortFunc(tr.gaps, func(a, b flight) int { return cmp.Compare(a.turn, b.turn) })
	for len(tr.gaps) > 0 {
		first := tr.gaps[0]
		tr.gaps = tr.gaps[1:]
		if first.position >= position {
			return first.turn
		} // else it was dropped meanwhile
	}
	tr.turns++
	return tr.turns
}

// draw returns the index of one of the entries in flight, or false if there is
// none.
func (tr *trial) draw() (int, bool) {
	if len(tr.inFlight) == 0 {
		return 0, false
	}
	return rapid.IntRange(0, len(tr.inFlight)-1).Draw(tr.T, "entry"), true
}

func (tr *trial) settle(dropped int) error {
	i, ok := tr.draw()
	if !ok {
		return nil
	}
	return tr.settleEntry(i, dropped)
}

func (tr *trial) settleInPart() error { return tr.settle(rapid.IntRange(1, 5).Draw(tr.T, "dropped")) }

// settleEntry settles an entry as exported, but for up to some data points. As
// long as something older waits, it takes that instead: an exporter that keeps
// the order does not deliver the newer before the older.
func (tr *trial) settleEntry(i, dropped int) error {
	f := tr.inFlight[i]
	if slices.ContainsFunc(tr.gaps, func(gap flight) bool { return gap.turn < f.turn }) {
		return tr.take()
	}
	dropped = min(dropped, f.Points())
	tr.inFlight = slices.Delete(tr.inFlight, i, i+1)
	tr.dropped += uint64(dropped)
	tr.settled = max(tr.settled, f.turn)
	return f.Settle(queue.Outcome{Exported: f.Points() - dropped, Dropped: dropped})
}

// giveBack returns the entry in flight that is the newest, unless a newer one has
// been settled. So nothing waits that is older than something in flight: what came
// out before what could not be told by their positions, which may be equal.
func (tr *trial) giveBack() error {
	i, ok := tr.draw()
	if !ok {
		return nil
	}
	for j, f := range tr.inFlight {
		if f.turn > tr.inFlight[i].turn {
			i = j
		}
	}
	f := tr.inFlight[i]
	if f.turn < tr.settled {
		return nil
	}
	tr.inFlight = slices.Delete(tr.inFlight, i, i+1)
	tr.gaps = append(tr.gaps, f)
	f.delivery.returned = true
	tr.returned = max(tr.returned, f.position)
	tr.gaveBack = true
	return f.Return()
}

// deliverAll delivers all there is, the entries in flight first.
func (tr *trial) deliverAll() error {
	for tr.stats.Queued > 0 {
		if len(tr.inFlight) == 0 {
			if err := tr.take(); err != nil {
				return err
			}
		}
		if err := tr.settleEntry(0, 0); err != nil {
			return err
		}
		if err := tr.check(); err != nil {
			return err
		}
	}
	tr.rival.deliverAll()
	if !tr.stats.Passed(tr.stats.Last) {
		return fmt.Errorf("all has been settled, and position %d has not passed: %+v", tr.stats.Last, tr.stats)
	}
	return nil
}
