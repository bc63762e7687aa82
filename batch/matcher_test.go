package batch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// matchOf returns the partners of the older keys, or -1, and the newer ones
// that have none.
func matchOf(m *matching[int], older, newer []int) (partner, rest []int) {
	m.match(len(older), len(newer), func(i int) int { return older[i] }, func(j int) int { return newer[j] })
	for _, j := range m.partner {
		partner = append(partner, int(j))
	}
	for _, j := range m.rest {
		rest = append(rest, int(j))
	}
	return partner, rest
}

// simpleMatch is what matchOf returns, in the obvious way.
func simpleMatch(older, newer []int) (partner, rest []int) {
	last := map[int]int{} // of the older keys
	for i, key := range older {
		last[key] = i
		partner = append(partner, -1)
	}
	for j, key := range newer {
		if i, common := last[key]; common {
			partner[i] = j
			delete(last, key)
			continue
		}
		rest = append(rest, j)
	}
	return partner, rest
}

func TestMatchingPairsTheLastOlderKeyWithTheFirstNewerOne(t *testing.T) {
	var m matching[int]
	partner, rest := matchOf(&m, []int{7, 8, 7, 9}, []int{5, 7, 9, 7, 5})
	assert.Equal(t, []int{-1, -1, 1, 2}, partner)
	assert.Equal(t, []int{0, 3, 4}, rest)
}

func TestMatchingOfNothing(t *testing.T) {
	var m matching[int]
	for range 2 {
		partner, rest := matchOf(&m, nil, nil)
		assert.Empty(t, partner)
		assert.Empty(t, rest)
		partner, rest = matchOf(&m, []int{1, 2}, nil)
		assert.Equal(t, []int{-1, -1}, partner)
		assert.Empty(t, rest)
		partner, rest = matchOf(&m, nil, []int{1, 1})
		assert.Empty(t, partner)
		assert.Equal(t, []int{0, 1}, rest)
	}
}

// One matching serves lists of very different lengths, one after the other.
func TestMatchingIsThatOfASimpleOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m matching[int]
		for range rapid.IntRange(1, 5).Draw(t, "times") {
			keys := rapid.IntRange(0, rapid.SampledFrom([]int{1, 5, 1000}).Draw(t, "different"))
			older := rapid.SliceOfN(keys, 0, 50).Draw(t, "older")
			newer := rapid.SliceOfN(keys, 0, 50).Draw(t, "newer")
			wantPartner, wantRest := simpleMatch(older, newer)
			partner, rest := matchOf(&m, older, newer)
			require.Equal(t, wantPartner, partner)
			require.Equal(t, wantRest, rest)
			for j := range newer {
				require.Equal(t, contains(rest, j), !m.taken[j])
			}
		}
	})
}

func contains(indexes []int, i int) bool {
	for _, j := range indexes {
		if i == j {
			return true
		}
	}
	return false
}

func TestMatchingLeavesHalfOfItsTableEmpty(t *testing.T) {
	var m matching[int]
	for n := range 300 {
		m.index(n, func(j int) int { return j })
		used := 0
		for _, s := range m.slots {
			if s != 0 {
				used++
			}
		}
		require.Equal(t, n, used)
		require.Greater(t, len(m.slots), 2*used-1)
	}
}

func TestMatchingAllocatesNothingForListsThatAreNotLonger(t *testing.T) {
	keys := make([]int, 1000)
	for i := range keys {
		keys[i] = i
	}
	var m matching[int]
	match := func(older, newer int) {
		m.match(older, newer, func(i int) int { return keys[i] }, func(j int) int { return keys[len(keys)-1-j] })
	}
	match(1000, 1000)
	match(0, 1000)
	assert.Zero(t, testing.AllocsPerRun(10, func() { match(1000, 1000); match(3, 500); match(1000, 0) }))
}
