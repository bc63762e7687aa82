package batch

import (
	"hash/maphash"
	"math/bits"
)

// A pairing finds the elements of two lists that have the same key. Each
// element has at most one partner. The memory of a pairing serves one pair of
// lists after the other.
type pairing[K comparable] struct {
	partner        []int32 // for each older element its partner's index, or -1
	partnerOfNewer []int32 // for each newer element the same
	rest           int     // how many newer elements have no partner

	// slots is a hash table with open addressing. It has for each key 1 + the
	// index of its first newer element. A map would take as long to clear for a
	// small list as for the largest list that it has ever held.
	slots []int32
	next  []int32 // for each newer element the next one with its key, or -1
}

// pairInOrder pairs the first elements of a key, the second ones, and so on.
// This serves scopes and metrics. Some occur more than once because the SDK has
// several instruments of one name; their order is the same in each collection.
func (p *pairing[K]) pairInOrder(older, newer int, olderKey, newerKey func(int) K) {
	p.begin(older, newer, newerKey)
	for i := range p.partner {
		j := *p.slot(olderKey(i), newerKey) - 1
		for j >= 0 && p.partnerOfNewer[j] >= 0 {
			j = p.next[j]
		}
		p.pair(i, j)
	}
}

// pairNeighbours pairs the last older element of a key with its first newer
// one, and no others. This serves data points. A series occurs more than once
// if its points could not be joined. The points are in order of time, so only
// these two follow each other.
func (p *pairing[K]) pairNeighbours(older, newer int, olderKey, newerKey func(int) K) {
	p.begin(older, newer, newerKey)
	for i := older - 1; i >= 0; i-- {
		j := *p.slot(olderKey(i), newerKey) - 1
		if j >= 0 && p.partnerOfNewer[j] >= 0 {
			j = -1
		}
		p.pair(i, j)
	}
}

// repeats reports whether two of n elements have the same key.
func (p *pairing[K]) repeats(n int, key func(int) K) bool {
	p.emptySlots(n)
	for j := range n {
		s := p.slot(key(j), key)
		if *s != 0 {
			return true
		}
		*s = int32(j) + 1
	}
	return false
}

func (p *pairing[K]) begin(older, newer int, key func(int) K) {
	p.partner = resized(p.partner, older)
	p.partnerOfNewer = resized(p.partnerOfNewer, newer)
	for j := range p.partnerOfNewer {
		p.partnerOfNewer[j] = -1
	}
	p.rest = newer
	p.index(newer, key)
}

func (p *pairing[K]) pair(i int, j int32) {
	p.partner[i] = j
	if j >= 0 {
		p.partnerOfNewer[j] = int32(i)
		p.rest--
	}
}

// index fills the table. At least half of it stays empty.
func (p *pairing[K]) index(n int, key func(int) K) {
	p.emptySlots(n)
	p.next = resized(p.next, n)
	for j := n - 1; j >= 0; j-- {
		s := p.slot(key(j), key)
		p.next[j] = *s - 1
		*s = int32(j) + 1
	}
}

// emptySlots makes room in the table for n keys.
func (p *pairing[K]) emptySlots(n int) {
	p.slots = resized(p.slots, 1<<bits.Len(uint(2*n)))
	clear(p.slots)
}

// slot returns the slot that has the key, or the empty one that it belongs in.
func (p *pairing[K]) slot(k K, key func(int) K) *int32 {
	mask := len(p.slots) - 1
	for at := int(maphash.Comparable(seed, k)) & mask; ; at = (at + 1) & mask {
		if s := &p.slots[at]; *s == 0 || key(int(*s)-1) == k {
			return s
		}
	}
}

var seed = maphash.MakeSeed()

// resized returns a slice of n elements, in the memory of s if that suffices.
func resized[T any](s []T, n int) []T {
	if n > cap(s) {
		return make([]T, n)
	}
	return s[:n]
}
