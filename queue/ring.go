package queue

// minRing is the smallest number of slots that a ring allocates or shrinks to.
const minRing = 8

// A ring is a first-in, first-out queue in a slice. A channel could not be
// looked into, nor grow; a linked list would allocate for each element. A ring
// does what the queue in memory needs under its own lock, and has none itself.
//
// It grows as needed, shrinks when it has become much too large, and zeroes each
// slot as it is vacated, so that it keeps nothing alive that is no longer in it.
// The zero value is an empty ring.
type ring[T any] struct {
	slots []T // the length is a power of two, or 0
	head  int // index of the oldest element
	len   int
}

// Len returns the number of elements.
func (r *ring[T]) Len() int { return r.len }

// Push adds v as the newest element.
func (r *ring[T]) Push(v T) { r.Insert(r.len, v) }

// Pop removes and returns the oldest element, or reports false if there is
// none.
func (r *ring[T]) Pop() (v T, ok bool) {
	if r.len == 0 {
		return v, false
	}
	return r.Remove(0), true
}

// At returns the element at index i, where 0 is the oldest. It panics if there
// is none.
func (r *ring[T]) At(i int) T {
	if i < 0 || i >= r.len {
		panic("queue: ring index out of range")
	}
	return r.slots[r.index(i)]
}

// Remove removes and returns the element at index i, where 0 is the oldest;
// the order of the others stays. It panics if there is none. Of the elements
// before and behind i, the fewer move.
func (r *ring[T]) Remove(i int) T {
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
// have been at i and behind it. It panics if i is beyond the length. Of the elements
// before and behind i, the fewer move.
func (r *ring[T]) Insert(i int, v T) {
	if i < 0 || i > r.len {
		panic("queue: ring index out of range")
	}
	if r.len == len(r.slots) {
		r.resize(max(minRing, 2*r.len))
	}
	r.len++
	if i < r.len/2 {
		r.head = r.index(-1)
		for j := range i {
			r.slots[r.index(j)] = r.slots[r.index(j+1)]
		}
	} else {
		for j := r.len - 1; j > i; j-- {
			r.slots[r.index(j)] = r.slots[r.index(j-1)]
		}
	}
	r.slots[r.index(i)] = v
}

// index returns the slot of the element i places behind the head.
func (r *ring[T]) index(i int) int { return (r.head + i) & (len(r.slots) - 1) }

func (r *ring[T]) resize(n int) {
	slots := make([]T, n)
	if r.len > 0 {
		copied := copy(slots, r.slots[r.head:min(r.head+r.len, len(r.slots))])
		copy(slots[copied:r.len], r.slots)
	}
	r.slots, r.head = slots, 0
}
