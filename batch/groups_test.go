package batch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type list []int

// grouped returns the elements of each group.
func grouped(lists ...*list) [][]*int {
	g := groupBy(lists, func(l *list) []int { return *l }, func(e *int, _ int) int { return *e })
	var groups [][]*int
	for i := range g.all {
		groups = append(groups, g.all[i].elements)
	}
	return groups
}

// simplyGrouped does the same in the obvious way.
func simplyGrouped(lists ...*list) [][]*int {
	var groups [][]*int
	at := map[int]int{}
	for _, l := range lists {
		for i := range *l {
			key := (*l)[i]
			if _, known := at[key]; !known {
				at[key] = len(groups)
				groups = append(groups, nil)
			}
			groups[at[key]] = append(groups[at[key]], &(*l)[i])
		}
	}
	return groups
}

// requireSameElements tells elements apart by where they are.
func requireSameElements(t require.TestingT, want, got [][]*int) {
	require.Equal(t, len(want), len(got))
	for i := range want {
		require.Equal(t, len(want[i]), len(got[i]))
		for j := range want[i] {
			require.Same(t, want[i][j], got[i][j])
		}
	}
}

func TestGroupsIsThatOfASimpleOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(0, rapid.IntRange(0, 9).Draw(t, "different"))
		var lists []*list
		for range rapid.IntRange(0, 5).Draw(t, "lists") {
			next := list(rapid.SliceOfN(keys, 0, 8).Draw(t, "list"))
			if n := len(lists); n > 0 && rapid.Bool().Draw(t, "again") {
				next = append(list(nil), *lists[n-1]...) // one order
			}
			lists = append(lists, &next)
		}
		requireSameElements(t, simplyGrouped(lists...), grouped(lists...))
	})
}

// The group that comes next is not always the right one.
func TestGroupsPutsWhatOccursTwiceInItsOrder(t *testing.T) {
	for _, lists := range [][]*list{
		{{1, 2}, {2, 1, 2}},
		{{1, 2, 1}, {2, 1}},
		{{1, 1}, {1}, {1, 1, 1}},
		{{1}, {2, 2}, {1, 2, 2}},
		{{1, 2, 1}, {1, 1, 2}, {2, 1, 1}},
		{{}, {1, 1}, {1, 1}},
	} {
		requireSameElements(t, simplyGrouped(lists...), grouped(lists...))
	}
}

func TestGroupsTellsKeysHowManyElementsCameBefore(t *testing.T) {
	var asked []int
	lists := []*list{{7, 8}, {}, {9}, {7}}
	g := groupBy(lists, func(l *list) []int { return *l }, func(_ *int, before int) int {
		asked = append(asked, before)
		return before
	})
	assert.Equal(t, []int{0, 1, 2, 3}, asked)
	assert.Len(t, g.all, 4, "so that each may have a group of its own")
}
