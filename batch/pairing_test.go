package batch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A method is one of those of pairing that pair two lists.
type method func(p *pairing[int], older, newer int, olderKey, newerKey func(int) int)

var methods = map[string]method{
	"in order":   (*pairing[int]).pairInOrder,
	"neighbours": (*pairing[int]).pairNeighbours,
}

// of returns the partners of the older keys, or -1, and the newer ones that
// have none.
func (pair method) of(p *pairing[int], older, newer []int) (partner, rest []int) {
	pair(p, len(older), len(newer), func(i int) int { return older[i] }, func(j int) int { return newer[j] })
	for _, j := range p.partner {
		partner = append(partner, int(j))
	}
	for j, i := range p.partnerOfNewer {
		if i < 0 {
			rest = append(rest, j)
		}
	}
	if len(rest) != p.rest {
		panic("the number of elements without a partner is wrong")
	}
	return partner, rest
}

// simpleMethods do the same in the obvious way.
var simpleMethods = map[string]func(older, newer []int) (partner, rest []int){
	"in order": func(older, newer []int) (partner, rest []int) {
		taken := make([]bool, len(newer))
		for _, key := range older {
			found := -1
			for j := len(newer) - 1; j >= 0; j-- {
				if newer[j] == key && !taken[j] {
					found = j
				}
			}
			if found >= 0 {
				taken[found] = true
			}
			partner = append(partner, found)
		}
		for j := range newer {
			if !taken[j] {
				rest = append(rest, j)
			}
		}
		return partner, rest
	},
	"neighbours": func(older, newer []int) (partner, rest []int) {
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
	},
}

func TestPairingPairsWhatOccursTwice(t *testing.T) {
	var p pairing[int]
	older, newer := []int{7, 8, 7, 9}, []int{5, 7, 9, 7, 5}
	partner, rest := methods["neighbours"].of(&p, older, newer)
	assert.Equal(t, []int{-1, -1, 1, 2}, partner)
	assert.Equal(t, []int{0, 3, 4}, rest)
	partner, rest = methods["in order"].of(&p, older, newer)
	assert.Equal(t, []int{1, -1, 3, 2}, partner)
	assert.Equal(t, []int{0, 4}, rest)
}

func TestPairingOfNothing(t *testing.T) {
	var p pairing[int]
	for range 2 {
		partner, rest := methods["in order"].of(&p, nil, nil)
		assert.Empty(t, partner)
		assert.Empty(t, rest)
		partner, rest = methods["in order"].of(&p, []int{1, 2}, nil)
		assert.Equal(t, []int{-1, -1}, partner)
		assert.Empty(t, rest)
		partner, rest = methods["in order"].of(&p, nil, []int{1, 1})
		assert.Empty(t, partner)
		assert.Equal(t, []int{0, 1}, rest)
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
			how := rapid.SampledFrom([]string{"in order", "neighbours"}).Draw(t, "how")
			wantPartner, wantRest := simpleMethods[how](older, newer)
			partner, rest := methods[how].of(&p, older, newer)
			require.Equal(t, wantPartner, partner)
			require.Equal(t, wantRest, rest)
			for j := range newer {
				require.Equal(t, contains(rest, j), p.partnerOfNewer[j] < 0)
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
		p.pairInOrder(older, newer, func(i int) int { return keys[i] }, func(j int) int { return keys[len(keys)-1-j] })
	}
	pair(1000, 1000)
	pair(0, 1000)
	assert.Zero(t, testing.AllocsPerRun(10, func() { pair(1000, 1000); pair(3, 500); pair(1000, 0) }))
}
