package batch

import "reflect"

// An arena hands out slices of T from memory that it reuses. One allocation
// then serves a whole collection, and none is needed for the next one of the
// same shape.
//
// The life of an arena alternates between any number of calls of take and one
// of rewind, which takes back everything at once.
type arena[T any] struct {
	chunk []T // handed out up to used; what came before used is never moved
	used  int
	dirty int // chunk[dirty:] is zero
	total int // elements handed out since the last rewind, in all chunks
	older int // elements of the chunks before this one since the last rewind
}

// take returns n elements whose content is undefined: the caller overwrites
// all of them. The slice has no spare capacity, so that appending to it cannot
// reach what is handed out next.
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

// grow returns last, which take or grow returned last, with n more elements of
// undefined content behind it. The elements move if the chunk has no room.
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

// replace starts a new chunk of at least n elements. The old one stays alive
// through what was handed out from it. Growing by about a quarter of what is in
// use bounds both the number of chunks and the memory that the last one wastes;
// a multiple of n wastes none where all requests are alike.
func (a *arena[T]) replace(n int) {
	if a.used > 0 {
		a.older += len(a.chunk)
	}
	a.chunk = make([]T, n*max(1, a.total/4/n))
	a.used, a.dirty = 0, 0
}

// held returns how many bytes the chunks have that are in use, and the present
// one.
func (a *arena[T]) held() int { return (a.older + len(a.chunk)) * a.elementSize() }

// taken returns how many bytes the arena has handed out since the last rewind.
func (a *arena[T]) taken() int { return a.total * a.elementSize() }

func (*arena[T]) elementSize() int { return int(reflect.TypeFor[T]().Size()) }

// clone returns a copy of src, nil for nil.
func (a *arena[T]) clone(src []T) []T {
	if src == nil {
		return nil
	}
	dst := a.take(len(src))
	copy(dst, src)
	return dst
}

// trim zeroes what an earlier use left behind in the memory that this one did
// not need, so that it keeps nothing alive.
func (a *arena[T]) trim() {
	if a.used < a.dirty {
		clear(a.chunk[a.used:a.dirty])
	}
	a.dirty = a.used
}

// rewind takes back all that was handed out. If one chunk did not suffice, it
// makes one that does, with a little room for series that are still to come.
func (a *arena[T]) rewind() {
	if a.total > len(a.chunk) {
		a.chunk = make([]T, a.total+a.total/8)
		a.dirty = 0
	}
	a.used, a.total, a.older = 0, 0, 0
}
