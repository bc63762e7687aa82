package asyncmetric

import (
	"hash/maphash"
	"slices"

	"github.com/asyncmetric/asyncmetric/batch"
)

// seed is that of the hashes of resources.
var seed = maphash.MakeSeed()

// seriesOf returns an id for each data point of a batch that is a part: of its
// series, and of its resource.
func (t *trial) seriesOf(b *outgoing) []uint64 {
	if b.series == nil {
		rm := b.part.Copy(new(batch.Buffer))
		b.series = batch.AppendSeries(nil, rm)
		resource := maphash.Comparable(seed, rm.Resource.Equivalent())
		for i := range b.series {
			b.series[i] ^= resource
		}
	}
	return b.series
}

// eligible returns the batches that may go out, but for those of neighbours: they
// overtake no earlier point of their series. The first one always does.
func (t *trial) eligible() (list []*outgoing) {
	f := &t.inflight
	last := f.entries[t.own-1].Position()
	seen := make(map[uint64]struct{})
	for _, b := range f.waiting {
		if b.position > last {
			break
		}
		series := t.seriesOf(b)
		if !slices.ContainsFunc(series, func(id uint64) bool { _, ok := seen[id]; return ok }) {
			list = append(list, b)
		}
		for _, id := range series {
			seen[id] = struct{}{}
		}
	}
	return list
}

// A place is one data point of a batch that waits.
type place struct {
	batch *outgoing
	point int
}

// probe returns a batch of one point that may go out, to find out whether the
// destination is there; nil if there is none. Directly after a success that is a
// witness; else, in turn, a point of the suspects, and a witness or a joined point.
func (t *trial) probe() *outgoing {
	if t.atOnce == 0 && t.probes%2 == 0 {
		if w := t.point(nil, true); w != nil {
			return w
		}
	}
	if w := t.witness(nil); w != nil || t.atOnce > 0 {
		return w
	}
	return t.joinedPoint()
}

// witness returns a batch of one point, not of the batch not, that is not suspected
// and may go out, because nothing before it has its series: it shows whether the
// destination is there. Where what is in flight has no such point, witness takes
// neighbours from the queue. It returns nil if there is none.
func (t *trial) witness(not *outgoing) *outgoing {
	for {
		if w := t.point(not, false); w != nil {
			return w
		}
		if !t.neighbour() {
			return nil
		}
	}
}

// point returns a point of what is suspected, or not, that may go out; nil if
// there is none. It is another one after each probe that failed.
func (t *trial) point(not *outgoing, suspect bool) *outgoing {
	var places []place
	seen := make(map[uint64]struct{})
	for _, b := range t.inflight.waiting {
		hasFailed := b.points() == 1 && b.tried > t.through // it may be what is bad
		may := b.suspect == suspect && b != not && (suspect || !hasFailed)
		for i, id := range t.seriesOf(b) {
			if _, ok := seen[id]; !ok && may && !t.isBad(id) {
				places = append(places, place{b, i})
			}
			seen[id] = struct{}{}
		}
	}
	if len(places) == 0 {
		return nil
	}
	return t.isolate(places[t.probes/2%probePoints*len(places)/probePoints])
}

// isolate makes a batch of one point. All parts wait.
func (t *trial) isolate(p place) *outgoing {
	f := &t.inflight
	b := p.batch
	if b.points() == 1 {
		return b
	}
	b = f.remove(b)
	if p.point > 0 {
		var head *outgoing
		head, b = b.cut(p.point)
		f.giveBack(head)
	}
	if b.points() > 1 {
		var tail *outgoing
		b, tail = b.cut(1)
		f.giveBack(tail)
	}
	f.giveBack(b)
	return b
}

// joinedPoint returns a point that waits, joined with the only earlier point of
// its series; nil if there is none.
func (t *trial) joinedPoint() *outgoing {
	type earlier struct {
		place
		count int
	}
	var pairs [][2]place
	seen := make(map[uint64]earlier)
	for _, b := range t.inflight.waiting {
		for i, id := range t.seriesOf(b) {
			e := seen[id]
			if e.count == 1 && !b.suspect && b.position != e.batch.position && !t.isBad(id) {
				pairs = append(pairs, [2]place{e.place, {b, i}})
			}
			seen[id] = earlier{place{b, i}, e.count + 1}
		}
	}
	for n := range pairs {
		pair := pairs[(n+t.probes)%len(pairs)]
		if w := t.join(pair[0], pair[1]); w != nil {
			return w
		}
	}
	return nil
}

// join makes one batch of two points of a series that become one; nil if they do
// not.
func (t *trial) join(older, newer place) *outgoing {
	one := func(p place) *outgoing {
		b := p.batch
		if p.point > 0 {
			_, b = b.cut(p.point)
		}
		if b.points() > 1 {
			b, _ = b.cut(1)
		}
		return b
	}
	rm := batch.Coalesce(new(batch.Buffer),
		one(older).part.Copy(new(batch.Buffer)), one(newer).part.Copy(new(batch.Buffer)))
	if batch.Points(rm) != 1 {
		return nil
	}
	f := &t.inflight
	a, b := f.remove(t.isolate(older)), f.remove(t.isolate(newer))
	w := *a
	w.own(rm)
	w.joined, w.newest, w.suspect = []*outgoing{a, b}, b.newest, false
	f.giveBack(&w)
	return &w
}
