package batch

import (
	"hash/maphash"
	"math/bits"
)

// A table is a hash table with open addressing. It finds the element of a list
// that has a key. A map would take as long to clear for a small list as for the
// largest list that it has ever held.
type table[K comparable] struct {
	slots []int32 // 1 + the index of an element, or 0
}

// index fills the table with the first element of each key.
func (t *table[K]) index(n int, key func(int) K) {
	t.empty(n)
	for j := n - 1; j >= 0; j-- {
		*t.slot(key(j), key) = int32(j) + 1
	}
}

// find returns the index of the element with the key, or -1.
func (t *table[K]) find(k K, key func(int) K) int32 { return *t.slot(k, key) - 1 }

// repeats reports whether two of n elements have the same key.
func (t *table[K]) repeats(n int, key func(int) K) bool {
	t.empty(n)
	for j := range n {
		s := t.slot(key(j), key)
		if *s != 0 {
			return true
		}
		*s = int32(j) + 1
	}
	return false
}

// empty makes room in the table for n keys. At least half of it stays empty.
func (t *table[K]) empty(n int) {
	t.slots = resized(t.slots, 1<<bits.Len(uint(2*n)))
	clear(t.slots)
}

// slot returns the slot that has the key, or the empty one that it belongs in.
func (t *table[K]) slot(k K, key func(int) K) *int32 {
	mask := len(t.slots) - 1
	for at := int(maphash.Comparable(seed, k)) & mask; ; at = (at + 1) & mask {
		if s := &t.slots[at]; *s == 0 || key(int(*s)-1) == k {
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

// none returns a slice of n times -1, in the memory of s if that suffices.
func none(s []int32, n int) []int32 {
	s = resized(s, n)
	for i := range s {
		s[i] = -1
	}
	return s
}
