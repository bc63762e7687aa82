package batch

// A writer fills one slice of an arena, element by element. While it does, the
// arena serves nothing else.
type writer[T any] struct {
	arena *arena[T]
	to    []T
	n     int
}

// open begins a slice of at most n elements.
func (w *writer[T]) open(a *arena[T], n int) {
	*w = writer[T]{arena: a, to: a.take(n)}
}

// next returns the next element, which has undefined content.
func (w *writer[T]) next() *T {
	w.n++
	return &w.to[w.n-1]
}

// close returns the elements, and gives back the memory of those that there are
// not.
func (w *writer[T]) close() []T {
	w.arena.giveBack(len(w.to) - w.n)
	return w.to[:w.n:w.n]
}
