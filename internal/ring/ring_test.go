package ring_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/internal/ring"
)

// An item may be in two rings at once.
type item struct {
	value       int
	node, other ring.Node[item]
}

// requireRing requires that a ring has the elements of a slice, whichever way one
// looks at it.
func requireRing(t require.TestingT, want []*item, r *ring.Ring[item]) {
	require.Equal(t, len(want), r.Len())
	require.True(t, slices.Equal(want, slices.Collect(r.All())))
	if len(want) == 0 {
		require.Nil(t, r.Oldest())
		require.Nil(t, r.Newest())
		return
	}
	require.Same(t, want[0], r.Oldest())
	require.Same(t, want[len(want)-1], r.Newest())
	for i, v := range want {
		require.True(t, v.node.In())
		var prev, next *item
		if i > 0 {
			prev = want[i-1]
		}
		if i < len(want)-1 {
			next = want[i+1]
		}
		require.True(t, v.node.Prev() == prev)
		require.True(t, v.node.Next() == next)
	}
}

func TestARingDoesWhatASliceDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r, other ring.Ring[item]
		var want, inOther []*item
		value := 0
		spare := []*item{} // that have left and come back
		pick := func() *item {
			value++
			if len(spare) > 0 && rapid.Bool().Draw(t, "used before") {
				v := spare[0]
				spare = spare[1:]
				v.value = value
				return v
			}
			return &item{value: value}
		}
		some := func() int {
			return rapid.IntRange(0, len(want)-1).Draw(t, "index")
		}
		t.Repeat(map[string]func(*rapid.T){
			"Push": func(*rapid.T) {
				v := pick()
				r.Push(&v.node, v)
				want = append(want, v)
			},
			"InsertBehind": func(*rapid.T) {
				if len(want) == 0 {
					return
				}
				i, v := some(), pick()
				r.InsertBehind(&want[i].node, &v.node, v)
				want = slices.Insert(want, i+1, v)
			},
			"InsertBehind the newest": func(*rapid.T) {
				v := pick()
				r.InsertBehind(nil, &v.node, v)
				want = append(want, v)
			},
			"InsertBefore": func(*rapid.T) {
				if len(want) == 0 {
					return
				}
				i, v := some(), pick()
				r.InsertBefore(&want[i].node, &v.node, v)
				want = slices.Insert(want, i, v)
			},
			"InsertSorted": func(t *rapid.T) {
				v := pick()
				v.value = rapid.IntRange(0, value).Draw(t, "value")
				less := func(o *item) bool { return o.value < v.value }
				i := len(want)
				for i > 0 && !less(want[i-1]) {
					i--
				}
				r.InsertSorted(&v.node, v, less)
				want = slices.Insert(want, i, v)
			},
			"Remove": func(*rapid.T) {
				if len(want) == 0 {
					return
				}
				i := some()
				v := want[i]
				v.node.Remove()
				require.False(t, v.node.In())
				want = slices.Delete(want, i, i+1)
				if !v.other.In() {
					spare = append(spare, v)
				}
			},
			"be in another ring as well": func(*rapid.T) {
				if len(want) == 0 {
					return
				}
				if v := want[some()]; !v.other.In() {
					other.Push(&v.other, v)
					inOther = append(inOther, v)
				}
			},
			"remove while iterating": func(t *rapid.T) {
				var yielded, left []*item
				for v := range r.All() {
					yielded = append(yielded, v)
					if rapid.Bool().Draw(t, "remove") {
						v.node.Remove()
					} else {
						left = append(left, v)
					}
				}
				require.True(t, slices.Equal(want, yielded))
				want = left
			},
			"leave the iteration early": func(*rapid.T) {
				if len(want) == 0 {
					return
				}
				i, n := some(), 0
				for v := range r.All() {
					require.Same(t, want[n], v)
					if n++; n > i {
						break
					}
				}
				require.Equal(t, i+1, n)
			},
			"": func(t *rapid.T) {
				requireRing(t, want, &r)
				require.Equal(t, len(inOther), other.Len())
				require.True(t, slices.Equal(inOther, slices.Collect(other.All())))
			},
		})
	})
}

func TestTheZeroValueIsAnEmptyRing(t *testing.T) {
	var r ring.Ring[item]
	requireRing(t, nil, &r)
	assert.False(t, new(item).node.In())

	v := new(item)
	r.InsertSorted(&v.node, v, func(*item) bool { panic("there is nothing to compare with") })
	requireRing(t, []*item{v}, &r)
	v.node.Remove()
	requireRing(t, nil, &r)
}

func TestInsertSortedComesBehindWhatIsLessAndBeforeItsEquals(t *testing.T) {
	var r ring.Ring[item]
	first, second, third := &item{value: 1}, &item{value: 1}, &item{value: 1}
	for _, v := range []*item{first, second, third} {
		r.InsertSorted(&v.node, v, func(o *item) bool { return o.value < v.value })
	}
	requireRing(t, []*item{third, second, first}, &r)
}

func TestAnElementCannotBeInARingTwice(t *testing.T) {
	var a, b ring.Ring[item]
	v := new(item)
	a.Push(&v.node, v)
	for name, insert := range map[string]func(){
		"Push":                 func() { a.Push(&v.node, v) },
		"Push to another ring": func() { b.Push(&v.node, v) },
		"InsertBehind":         func() { a.InsertBehind(&v.node, &v.node, v) },
		"InsertBefore":         func() { a.InsertBefore(&v.node, &v.node, v) },
		"InsertSorted":         func() { a.InsertSorted(&v.node, v, func(*item) bool { return true }) },
	} {
		assert.PanicsWithValue(t, "ring: the element is in a ring", insert, name)
		requireRing(t, []*item{v}, &a)
		assert.Zero(t, b.Len(), name)
	}
}

func TestARingAllocatesNothing(t *testing.T) {
	var r ring.Ring[item]
	v, w := new(item), new(item)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		r.Push(&v.node, v)
		r.InsertBefore(&v.node, &w.node, w)
		v.node.Remove()
		w.node.Remove()
	}))
}
