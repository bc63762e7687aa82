package batch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type list []int

// linedUp returns the elements of each row.
func linedUp(lists ...*list) [][]*int {
	l := lineUp(lists, func(l *list) []int { return *l }, func(e *int, _ int) int { return *e })
	var rows [][]*int
	for i := range l.rows {
		rows = append(rows, l.rows[i].elements)
	}
	return rows
}

// simplyLinedUp is the same, in the obvious way.
func simplyLinedUp(lists ...*list) [][]*int {
	var rows [][]*int
	at := map[int]int{}
	for _, l := range lists {
		for i := range *l {
			key := (*l)[i]
			if _, known := at[key]; !known {
				at[key] = len(rows)
				rows = append(rows, nil)
			}
			rows[at[key]] = append(rows[at[key]], &(*l)[i])
		}
	}
	return rows
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

func TestLineupIsThatOfASimpleOne(t *testing.T) {
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
		requireSameElements(t, simplyLinedUp(lists...), linedUp(lists...))
	})
}

// A row may be the one that comes next and still not be the right one.
func TestLineupPutsWhatOccursTwiceInItsOrder(t *testing.T) {
	for _, lists := range [][]*list{
		{{1, 2}, {2, 1, 2}},
		{{1, 2, 1}, {2, 1}},
		{{1, 1}, {1}, {1, 1, 1}},
		{{1}, {2, 2}, {1, 2, 2}},
		{{1, 2, 1}, {1, 1, 2}, {2, 1, 1}},
		{{}, {1, 1}, {1, 1}},
	} {
		requireSameElements(t, simplyLinedUp(lists...), linedUp(lists...))
	}
}

func TestLineupTellsKeysHowManyElementsCameBefore(t *testing.T) {
	var asked []int
	lists := []*list{{7, 8}, {}, {9}, {7}}
	l := lineUp(lists, func(l *list) []int { return *l }, func(_ *int, before int) int {
		asked = append(asked, before)
		return before
	})
	assert.Equal(t, []int{0, 1, 2, 3}, asked)
	assert.Len(t, l.rows, 4, "so each may have a row of its own")
}
