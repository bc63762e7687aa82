package queue

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// ringInvariants are what no test of a ring may find otherwise.
func ringInvariants(t require.TestingT, r *ring[int], want []int) {
	require.Equal(t, len(want), r.Len(), "Len")
	for i, v := range want {
		require.Equalf(t, v, r.At(i), "At(%d)", i)
	}
	slots := len(r.slots)
	require.Zero(t, slots&(slots-1), "%d slots are not a power of two", slots)
	if slots > minRing {
		require.Greater(t, 4*r.len, slots, "most of the %d slots are free", slots)
	}
	for i := r.len; i < slots; i++ {
		require.Zerof(t, r.slots[r.index(i)], "a vacated slot, with %d of %d in use", r.len, slots)
	}
}

func TestRingBehavesLikeASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := new(ring[int])
		var want []int
		next := 1 // 0 is what a vacated slot holds
		push := func(*rapid.T) {
			r.Push(next)
			want = append(want, next)
			next++
		}
		t.Repeat(map[string]func(*rapid.T){
			"Push": push,
			"PushMany": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					push(t)
				}
			},
			"Pop": func(*rapid.T) {
				v, ok := r.Pop()
				require.Equal(t, len(want) > 0, ok, "Pop")
				if !ok {
					require.Zero(t, v, "Pop of an empty ring")
					return
				}
				require.Equal(t, want[0], v, "Pop")
				want = want[1:]
			},
			"Remove": func(t *rapid.T) {
				if len(want) == 0 {
					t.Skip("nothing to remove")
				}
				i := rapid.IntRange(0, len(want)-1).Draw(t, "i")
				require.Equalf(t, want[i], r.Remove(i), "Remove(%d)", i)
				want = slices.Delete(want, i, i+1)
			},
			"Insert": func(t *rapid.T) {
				i := rapid.IntRange(0, len(want)).Draw(t, "i")
				r.Insert(i, next)
				want = slices.Insert(want, i, next)
				next++
			},
			"": func(*rapid.T) { ringInvariants(t, r, want) },
		})
	})
}

func TestRingRemovesAtEveryIndexWhereverItsHeadIs(t *testing.T) {
	for head := range minRing {
		for n := 1; n <= minRing; n++ {
			for i := range n {
				r := new(ring[int])
				for range head {
					r.Push(-1)
					r.Pop()
				}
				var want []int
				for v := 1; v <= n; v++ {
					r.Push(v)
					want = append(want, v)
				}
				require.Equal(t, i+1, r.Remove(i), "head at %d, %d elements", head, n)
				ringInvariants(t, r, slices.Delete(want, i, i+1))
			}
		}
	}
}

func TestRingGrowsWhereverItsHeadIs(t *testing.T) {
	for head := range minRing {
		r := new(ring[int])
		for range head {
			r.Push(-1)
			r.Pop()
		}
		var want []int
		for v := 1; v <= 3*minRing; v++ {
			r.Push(v)
			want = append(want, v)
			ringInvariants(t, r, want)
		}
		for len(want) > 0 {
			r.Pop()
			want = want[1:]
			ringInvariants(t, r, want)
		}
	}
}

func TestRingAllocatesForWhatIsInIt(t *testing.T) {
	r := new(ring[int])
	assert.Nil(t, r.slots, "slots of a new ring")
	for i := range 1000 {
		r.Push(i)
	}
	assert.Len(t, r.slots, 1024, "slots for 1000 elements")
	for r.Len() > 0 {
		r.Pop()
	}
	assert.Len(t, r.slots, minRing, "slots of a ring that has become empty")
}

// Between growing and shrinking there is a distance, so that a ring whose
// length goes up and down by one allocates once at most.
func TestRingDoesNotAllocateAtAConstantLength(t *testing.T) {
	for n := range 5 * minRing {
		r := new(ring[int])
		for i := range n {
			r.Push(i)
		}
		allocs := testing.AllocsPerRun(10, func() {
			r.Push(1)
			r.Push(1)
			r.Pop()
			r.Pop()
		})
		assert.Zerof(t, allocs, "allocations of Push and Pop around %d elements", n)
	}
}

func TestRingPanicsOutOfRange(t *testing.T) {
	r := new(ring[int])
	assert.Panics(t, func() { r.At(0) }, "At(0) of an empty ring")
	r.Push(1)
	for _, i := range []int{-1, 1} {
		assert.Panics(t, func() { r.At(i) }, "At(%d) of one element", i)
		assert.Panics(t, func() { r.Remove(i) }, "Remove(%d) of one element", i)
	}
	for _, i := range []int{-1, 2} {
		assert.Panics(t, func() { r.Insert(i, 2) }, "Insert at %d of one element", i)
	}
	ringInvariants(t, r, []int{1})
}
