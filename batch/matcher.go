package batch

import (
	"hash/maphash"
	"math/bits"
	"sync"

	"go.opentelemetry.io/otel/attribute"
)

// A matcher finds what two collections have in common. It is the memory that
// Coalesce needs for itself.
type matcher struct {
	scopes  matching[scopeID]
	metrics matching[instrumentID]
	points  matching[attribute.Distinct]
}

// A matcher is as large as the largest metric it has seen, so few are kept.
var matchers = sync.Pool{New: func() any { return new(matcher) }}

func (m *matcher) release() { matchers.Put(m) }

// A matching pairs the elements of two lists by a key. Each element has one
// partner at most.
type matching[K comparable] struct {
	partner        []int32 // for each older element its partner's index, or -1
	partnerOfNewer []int32 // for each newer element the same
	rest           int     // how many newer elements have no partner

	// A hash table with open addressing: for each key 1 + the index of its first
	// newer element. A map would take as long to clear for a small list as for
	// the largest that it has ever held.
	slots []int32
	next  []int32 // for each newer element the next one with its key, or -1
}

// match pairs the first elements of a key, the second ones, and so on. That is
// for scopes and metrics, which occur more than once because the SDK has
// several instruments of one name, in the same order each time.
func (m *matching[K]) match(older, newer int, olderKey, newerKey func(int) K) {
	m.begin(older, newer, newerKey)
	for i := range m.partner {
		j := *m.slot(olderKey(i), newerKey) - 1
		for j >= 0 && m.partnerOfNewer[j] >= 0 {
			j = m.next[j]
		}
		m.pair(i, j)
	}
}

// matchNeighbours pairs the last older element of a key with its first newer
// one, and leaves the others alone. That is for the points of a series, which
// occurs more than once because points could not be joined: they are in order
// of time, and those two are next to each other.
func (m *matching[K]) matchNeighbours(older, newer int, olderKey, newerKey func(int) K) {
	m.begin(older, newer, newerKey)
	for i := older - 1; i >= 0; i-- {
		j := *m.slot(olderKey(i), newerKey) - 1
		if j >= 0 && m.partnerOfNewer[j] >= 0 {
			j = -1
		}
		m.pair(i, j)
	}
}

func (m *matching[K]) begin(older, newer int, key func(int) K) {
	m.partner = resized(m.partner, older)
	m.partnerOfNewer = resized(m.partnerOfNewer, newer)
	for j := range m.partnerOfNewer {
		m.partnerOfNewer[j] = -1
	}
	m.rest = newer
	m.index(newer, key)
}

func (m *matching[K]) pair(i int, j int32) {
	m.partner[i] = j
	if j >= 0 {
		m.partnerOfNewer[j] = int32(i)
		m.rest--
	}
}

// index fills the table. At least half of it stays empty.
func (m *matching[K]) index(n int, key func(int) K) {
	m.emptySlots(n)
	m.next = resized(m.next, n)
	for j := n - 1; j >= 0; j-- {
		s := m.slot(key(j), key)
		m.next[j] = *s - 1
		*s = int32(j) + 1
	}
}

// emptySlots makes room in the table for n keys.
func (m *matching[K]) emptySlots(n int) {
	m.slots = resized(m.slots, 1<<bits.Len(uint(2*n)))
	clear(m.slots)
}

// slot returns the slot in which the key is, or else belongs.
func (m *matching[K]) slot(k K, key func(int) K) *int32 {
	mask := len(m.slots) - 1
	for at := int(maphash.Comparable(seed, k)) & mask; ; at = (at + 1) & mask {
		if s := &m.slots[at]; *s == 0 || key(int(*s)-1) == k {
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
