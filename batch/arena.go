package batch

import "unsafe"

// An arena hands out slices of T from memory that it reuses. So one allocation
// serves a whole collection, and the next collection of the same shape needs
// none.
//
// One use of an arena is any number of calls of take, clone, grow and giveBack. The next
// one begins with rewind, which takes back everything at once.
type arena[T any] struct {
	chunk []T // chunk[:used] is handed out
	used  int
	dirty int // chunk[dirty:] is zero
	total int // elements handed out in this use, in all chunks
	older int // size in bytes of the chunks before this one in this use
}

// take returns n elements of undefined content: the caller overwrites all of
// them. The slice has no spare capacity, so that an append cannot write into
// the next one.
func (a *arena[T]) take(n int) []T {
	if n == 0 {
		return []T{}
	}
	if n > len(a.chunk)-a.used {
		a.replace(n)
	}
	s := a.chunk[a.used : a.used+n : a.used+n]
	a.used += n
	a.total += n
	return s
}

// clone returns a copy of src, nil for nil.
func (a *arena[T]) clone(src []T) []T {
	if src == nil {
		return nil
	}
	dst := a.take(len(src))
	copy(dst, src)
	return dst
}

// grow returns last with n more elements behind it, of undefined content. It
// moves the elements if the chunk has no room. last must be the newest slice
// of the arena.
func (a *arena[T]) grow(last []T, n int) []T {
	a.used -= len(last)
	a.total -= len(last)
	s := a.take(len(last) + n)
	if len(last) > 0 && &s[0] != &last[0] {
		copy(s, last)
		clear(last)
	}
	return s
}

// reserve makes room for n elements in an arena that has no memory, so that the
// next use allocates once.
func (a *arena[T]) reserve(n int) {
	if n > 0 {
		a.chunk = make([]T, n)
	}
}

// giveBack takes back the last n elements of the newest slice.
func (a *arena[T]) giveBack(n int) {
	a.used -= n
	a.total -= n
}

// replace starts a new chunk of at least n elements. The slices of the old
// chunk keep it alive. Growth by about a quarter of what is in use bounds both
// the number of chunks and the memory that the last one wastes; a multiple of n
// wastes none where all requests are alike.
func (a *arena[T]) replace(n int) {
	if a.used > 0 {
		a.older += chunkSize[T](len(a.chunk))
	}
	a.chunk = make([]T, n*max(1, a.total/4/n))
	a.used, a.dirty = 0, 0
}

// trim zeroes what earlier uses left in the memory that this use did not need,
// so that the arena keeps nothing else alive.
func (a *arena[T]) trim() {
	if a.used < a.dirty {
		clear(a.chunk[a.used:a.dirty])
	}
	a.dirty = a.used
}

// rewind takes back everything. If this use needed several chunks, rewind makes
// one that suffices, with a little room for new series.
func (a *arena[T]) rewind() {
	if a.total > len(a.chunk) {
		a.chunk = make([]T, a.total+a.total/8)
		a.dirty = 0
	}
	a.used, a.total, a.older = 0, 0, 0
}

// held returns the size of all chunks of this use in bytes.
func (a *arena[T]) held() int { return a.older + chunkSize[T](len(a.chunk)) }

// taken returns how many bytes of them are handed out.
func (a *arena[T]) taken() int { return a.total * elementSize[T]() }

// chunkSize returns how many bytes a chunk of n elements takes.
func chunkSize[T any](n int) int { return allocated(n * elementSize[T]()) }

func elementSize[T any]() int {
	var element T
	return int(unsafe.Sizeof(element))
}

// allocated returns how many bytes of the heap n bytes take. Go rounds large
// allocations up to whole pages. Its classes for small ones waste little.
func allocated(n int) int {
	const large, page = 32 << 10, 8 << 10
	if n <= large {
		return n
	}
	return (n + page - 1) / page * page
}

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
