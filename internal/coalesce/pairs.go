package coalesce

import (
	"container/heap"
	"math/bits"
)

// pairs are the rounds that can be joined with the round before them, those first
// that are made of the fewest rounds together, and of these the oldest. Numbers of
// rounds from one power of two up to the next count as equal. So rounds that are
// made of n go pair by pair, from the oldest to the newest, before any that are
// made of 2n; meanwhile what is new becomes as coarse. The resolution of what waits
// stays even, however long a queue is full, and whatever the resources: two
// neighbours are always made of more than half as many rounds as any other.
//
// A round that is not complete comes later: the rest of it may still arrive.
type pairs []*round

func (p pairs) rank(i int) int {
	r := p[i]
	rank := bits.Len(uint(r.before().parts + r.parts - 1))
	if !r.isComplete() {
		rank += bits.UintSize
	}
	return rank
}

// pair adds the pair of r and the round before it.
func (b *Backlog) pair(r *round) { heap.Push(&b.pairs, r) }

// unpair removes the pair of r and the round before it, if there is one.
func (b *Backlog) unpair(r *round) {
	if r.place >= 0 {
		heap.Remove(&b.pairs, r.place)
	}
	if r.inParked.In() {
		r.inParked.Remove()
	}
}

// rerank finds the places of the pairs of r, which has changed.
func (b *Backlog) rerank(r *round) {
	for _, pair := range []*round{r, r.after()} {
		if pair != nil && pair.place >= 0 {
			heap.Fix(&b.pairs, pair.place)
		}
	}
}

// firstPair returns the newer round of the first pair that is worth to be joined,
// or nil. It parks those that are not until their lane has more to join.
func (b *Backlog) firstPair() *round {
	for len(b.pairs) > 0 {
		r := b.pairs[0]
		if r.lane.stale || r.lane.isWorthwhile() {
			return r
		}
		b.park(r)
	}
	return nil
}

// park takes the pair of r and the round before it out of pairs, until unpark.
func (b *Backlog) park(r *round) {
	b.unpair(r)
	r.lane.parked.Push(&r.inParked, r)
}

// unpark makes the parked pairs of a lane eligible if that is worthwhile now.
func (b *Backlog) unpark(l *lane) {
	if !l.isWorthwhile() {
		return
	}
	for r := range l.parked.All() {
		r.inParked.Remove()
		b.pair(r)
	}
}

// Len implements heap.Interface.
func (p pairs) Len() int { return len(p) }

// Less implements heap.Interface.
func (p pairs) Less(i, j int) bool {
	if a, b := p.rank(i), p.rank(j); a != b {
		return a < b
	}
	return p[i].position < p[j].position
}

// Swap implements heap.Interface.
func (p pairs) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].place, p[j].place = i, j
}

// Push implements heap.Interface.
func (p *pairs) Push(r any) {
	r.(*round).place = len(*p)
	*p = append(*p, r.(*round))
}

// Pop implements heap.Interface.
func (p *pairs) Pop() any {
	last := len(*p) - 1
	r := (*p)[last]
	(*p)[last] = nil
	*p = (*p)[:last]
	r.place = -1
	return r
}
