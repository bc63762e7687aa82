package batch

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// paired returns the partners of the newer keys, or -1, and for each the older
// key before its partner, or -1, and what is left of the older ones.
func paired(p *pairing[int], older, newer []int) (partner, before, left []int) {
	p.pair(len(older), len(newer), func(i int) int { return older[i] }, func(j int) int { return newer[j] })
	for j, i := range p.partner {
		partner = append(partner, int(i))
		before = append(before, int(p.predecessor(j)))
	}
	for i, home := range p.home {
		if home == absent {
			left = append(left, i)
		} else if newer[home] != older[i] || slices.Index(newer, older[i]) != int(home) {
			panic("an element has a wrong home")
		}
	}
	if len(left) != p.left {
		panic("the number of elements that are left is wrong")
	}
	return partner, before, left
}

// simplyPaired does the same in the obvious way.
func simplyPaired(older, newer []int) (partner, before, left []int) {
	places := map[int][]int{}
	for i, key := range older {
		places[key] = append(places[key], i)
		if !slices.Contains(newer, key) {
			left = append(left, i)
		}
	}
	for j, key := range newer {
		partner, before = append(partner, -1), append(before, -1)
		if n := len(places[key]); n > 0 && slices.Index(newer, key) == j {
			partner[j] = places[key][n-1]
			if n > 1 {
				before[j] = places[key][n-2]
			}
		}
	}
	return partner, before, left
}

func TestPairingPairsTheNeighboursOfWhatOccursTwice(t *testing.T) {
	var p pairing[int]
	partner, before, left := paired(&p, []int{7, 8, 7, 9, 7}, []int{5, 7, 9, 7, 5})
	assert.Equal(t, []int{-1, 4, 3, -1, -1}, partner)
	assert.Equal(t, []int{-1, 2, -1, -1, -1}, before)
	assert.Equal(t, []int{1}, left)
}

func TestPairingOfNothing(t *testing.T) {
	var p pairing[int]
	for range 2 {
		partner, _, left := paired(&p, nil, nil)
		assert.Empty(t, partner)
		assert.Empty(t, left)
		partner, _, left = paired(&p, []int{1, 2}, nil)
		assert.Empty(t, partner)
		assert.Equal(t, []int{0, 1}, left)
		partner, _, left = paired(&p, nil, []int{1, 1})
		assert.Equal(t, []int{-1, -1}, partner)
		assert.Empty(t, left)
	}
}

// One pairing serves lists of very different lengths, one after the other.
func TestPairingIsThatOfASimpleOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pairing[int]
		for range rapid.IntRange(1, 5).Draw(t, "times") {
			keys := rapid.IntRange(0, rapid.SampledFrom([]int{1, 5, 1000}).Draw(t, "different"))
			older := rapid.SliceOfN(keys, 0, 50).Draw(t, "older")
			newer := rapid.SliceOfN(keys, 0, 50).Draw(t, "newer")
			wantPartner, wantBefore, wantLeft := simplyPaired(older, newer)
			partner, before, left := paired(&p, older, newer)
			require.Equal(t, wantPartner, partner)
			require.Equal(t, wantBefore, before)
			require.Equal(t, wantLeft, left)
		}
	})
}

func TestPairingLeavesHalfOfItsTableEmpty(t *testing.T) {
	var p pairing[int]
	for n := range 300 {
		p.index(n, func(j int) int { return j })
		used := 0
		for _, s := range p.slots {
			if s != 0 {
				used++
			}
		}
		require.Equal(t, n, used)
		require.Greater(t, len(p.slots), 2*used-1)
	}
}

func TestPairingAllocatesNothingForListsThatAreNotLonger(t *testing.T) {
	keys := make([]int, 1000)
	for i := range keys {
		keys[i] = i
	}
	var p pairing[int]
	pair := func(older, newer int) {
		p.pair(older, newer, func(i int) int { return keys[i] }, func(j int) int { return keys[len(keys)-1-j] })
	}
	pair(1000, 1000)
	pair(0, 1000)
	assert.Zero(t, testing.AllocsPerRun(10, func() { pair(1000, 1000); pair(3, 500); pair(1000, 0) }))
}
