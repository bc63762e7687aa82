// Package ring has a first-in, first-out queue whose elements can also leave from
// the middle.
package ring

import "iter"

// A Ring is a circular list of elements that have their links in themselves: it
// allocates nothing, and each operation takes the same short time however many
// elements there are. The zero value is an empty ring. A Ring has no lock.
type Ring[T any] struct {
	root Node[T] // the link between the newest element and the oldest
	len  int
}

// A Node links an element into one [Ring]. It is a field of the element; an
// element may have several, for several rings. The zero value is in no ring.
type Node[T any] struct {
	ring       *Ring[T]
	prev, next *Node[T]
	element    *T
}

// Len returns the number of elements.
func (r *Ring[T]) Len() int { return r.len }

// Push adds v, whose node is n, as the newest element. The node must not be in a
// ring.
func (r *Ring[T]) Push(n *Node[T], v *T) { r.InsertBehind(nil, n, v) }

// InsertBehind adds v, whose node is n, behind the element whose node is mark; a
// nil mark stands for the newest element.
func (r *Ring[T]) InsertBehind(mark, n *Node[T], v *T) {
	if n.ring != nil {
		panic("ring: the element is in a ring")
	}
	r.init()
	if mark == nil {
		mark = r.root.prev
	}
	*n = Node[T]{ring: r, prev: mark, next: mark.next, element: v}
	mark.next.prev, mark.next = n, n
	r.len++
}

// InsertSorted adds v, whose node is n, behind the newest element that is less
// than v. It looks at all those behind that.
func (r *Ring[T]) InsertSorted(n *Node[T], v *T, less func(*T) bool) {
	r.init()
	mark := r.root.prev
	for mark != &r.root && !less(mark.element) {
		mark = mark.prev
	}
	r.InsertBehind(mark, n, v)
}

// InsertBefore adds v, whose node is n, before the element whose node is mark.
func (r *Ring[T]) InsertBefore(mark, n *Node[T], v *T) { r.InsertBehind(mark.prev, n, v) }

func (r *Ring[T]) init() {
	if r.root.next == nil {
		r.root.prev, r.root.next = &r.root, &r.root
	}
}

// Oldest returns the oldest element, or nil if there is none.
func (r *Ring[T]) Oldest() *T {
	if r.len == 0 {
		return nil
	}
	return r.root.next.element
}

// Newest returns the newest element, or nil if there is none.
func (r *Ring[T]) Newest() *T {
	if r.len == 0 {
		return nil
	}
	return r.root.prev.element
}

// All yields the elements from the oldest to the newest. The element that was
// yielded may leave the ring meanwhile.
func (r *Ring[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for left, n := r.len, r.root.next; left > 0; left-- {
			next := n.next
			if !yield(n.element) {
				return
			}
			n = next
		}
	}
}

// In reports whether the element is in a ring.
func (n *Node[T]) In() bool { return n.ring != nil }

// Next returns the next newer element, or nil if there is none.
func (n *Node[T]) Next() *T { return n.next.element }

// Prev returns the next older element, or nil if there is none.
func (n *Node[T]) Prev() *T { return n.prev.element }

// Remove takes the element out of its ring. The node can be used again.
func (n *Node[T]) Remove() {
	n.prev.next, n.next.prev = n.next, n.prev
	n.ring.len--
	*n = Node[T]{}
}
