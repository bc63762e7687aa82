package queue

// minRing is the smallest number of slots that a ring allocates or shrinks to.
const minRing = 8

// A Ring is a first-in, first-out queue in a slice. A channel could not be
// looked into, nor grow; a linked list would allocate for each element. A Ring
// does what the memory queue needs under its own lock, and has none itself.
//
// It grows up to its bound as needed, shrinks when it has become much too
// large, and zeroes each slot as it is vacated, so that it keeps nothing alive
// that is no longer in it.
type Ring[T any] struct {
	slots []T // the length is a power of two, or 0
	head  int // index of the oldest element
	len   int
	bound int
}

// NewRing returns an empty ring that holds at most bound elements; a bound of
// zero or less means no limit. It allocates nothing yet.
func NewRing[T any](bound int) *Ring[T] {
	return &Ring[T]{bound: bound}
}

// Len returns the number of elements.
func (r *Ring[T]) Len() int { return r.len }

// Push adds v as the newest element. It returns false, and changes nothing,
// when the ring is full.
func (r *Ring[T]) Push(v T) bool {
	if r.bound > 0 && r.len == r.bound {
		return false
	}
	if r.len == len(r.slots) {
		r.resize(max(minRing, 2*r.len))
	}
	r.slots[r.index(r.len)] = v
	r.len++
	return true
}

// Pop removes and returns the oldest element, or reports false if there is
// none.
func (r *Ring[T]) Pop() (v T, ok bool) {
	if r.len == 0 {
		return v, false
	}
	return r.Remove(0), true
}

// At returns the element at index i, where 0 is the oldest. It panics if there
// is none.
func (r *Ring[T]) At(i int) T {
	if i < 0 || i >= r.len {
		panic("queue: ring index out of range")
	}
	return r.slots[r.index(i)]
}

// Remove removes and returns the element at index i, where 0 is the oldest;
// the order of the others stays. It panics if there is none. Of the elements
// before and behind i, the fewer move.
func (r *Ring[T]) Remove(i int) T {
	v := r.At(i)
	var zero T
	if i < r.len/2 {
		for ; i > 0; i-- {
			r.slots[r.index(i)] = r.slots[r.index(i-1)]
		}
		r.slots[r.head] = zero
		r.head = r.index(1)
	} else {
		for ; i < r.len-1; i++ {
			r.slots[r.index(i)] = r.slots[r.index(i+1)]
		}
		r.slots[r.index(i)] = zero
	}
	r.len--
	if n := len(r.slots); n > minRing && r.len <= n/4 {
		r.resize(n / 2)
	}
	return v
}

// Insert makes v the element at index i, where 0 is the oldest, before those that
// have been there. It panics if i is beyond the length, or the ring is full.
func (r *Ring[T]) Insert(i int, v T) {
	if i < 0 || i > r.len || !r.Push(v) {
		panic("queue: ring index out of range, or the ring is full")
	}
	for j := r.len - 1; j > i; j-- {
		a, b := r.index(j), r.index(j-1)
		r.slots[a], r.slots[b] = r.slots[b], r.slots[a]
	}
}

// index returns the slot of the element i places behind the head.
func (r *Ring[T]) index(i int) int { return (r.head + i) & (len(r.slots) - 1) }

func (r *Ring[T]) resize(n int) {
	slots := make([]T, n)
	if r.len > 0 {
		copied := copy(slots, r.slots[r.head:min(r.head+r.len, len(r.slots))])
		copy(slots[copied:r.len], r.slots)
	}
	r.slots, r.head = slots, 0
}
