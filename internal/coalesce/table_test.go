package coalesce

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A tableModel says what a table should: in which rounds each series is.
type tableModel map[uint64]*struct{ rounds, last uint32 }

func (m tableModel) duplicates() (n int) {
	for _, s := range m {
		n += max(0, int(s.rounds)-1)
	}
	return n
}

func TestASeriesTableCountsAsAMapDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table seriesTable
		model := tableModel{}
		round := uint32(0)
		// Ids are odd or even; a table takes the two for one. Some lie close
		// together, so that they compete for slots at both ends of the table.
		ids := rapid.SliceOfNDistinct(rapid.OneOf(
			rapid.Uint64Range(0, 20), rapid.Uint64(), rapid.Uint64Range(1<<64-20, 1<<64-1),
		), 0, 30, func(id uint64) uint64 { return id | 1 })
		known := func(of []uint64) (list []uint64) {
			for _, id := range of {
				if model[id|1] != nil {
					list = append(list, id)
				}
			}
			return list
		}
		some := func(t *rapid.T) []uint64 {
			if len(model) == 0 {
				return nil
			}
			return rapid.SliceOfDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(model))), func(id uint64) uint64 { return id }).Draw(t, "known")
		}
		t.Repeat(map[string]func(*rapid.T){
			"add a round": func(t *rapid.T) {
				list := ids.Draw(t, "ids")
				if rapid.Bool().Draw(t, "known ones as well") && len(model) > 0 {
					for _, id := range some(t) {
						list = append(list, id, id) // each twice
					}
				}
				round++
				table.add(list, round)
				for _, id := range list {
					s := model[id|1]
					if s == nil {
						s = new(struct{ rounds, last uint32 })
						model[id|1] = s
					}
					if s.rounds == 0 || s.last != round {
						s.rounds, s.last = s.rounds+1, round
					}
				}
			},
			"remove": func(t *rapid.T) {
				list := some(t)
				table.remove(list)
				for _, id := range list {
					if s := model[id]; s.rounds > 0 {
						s.rounds--
					}
				}
			},
			"move": func(t *rapid.T) {
				list := some(t)
				for _, id := range list {
					if model[id].rounds == 0 {
						return
					}
				}
				round++
				table.move(list, round)
				for _, id := range list {
					model[id].last = round
				}
			},
			"grow": func(t *rapid.T) {
				n := rapid.IntRange(0, 100).Draw(t, "n")
				table.grow(n)
				require.LessOrEqual(t, 4*(table.used+n), 3*len(table.slots))
			},
			"": func(t *rapid.T) {
				require.Equal(t, model.duplicates(), table.duplicates)
				require.Equal(t, slotBytes*len(table.slots), table.bytes())
				require.LessOrEqual(t, 4*table.used, 3*len(table.slots))
				used := 0
				for _, s := range table.slots {
					if s.id != 0 {
						used++
					}
				}
				require.Equal(t, used, table.used)
				for id, want := range model {
					for _, id := range []uint64{id, id &^ 1} {
						rounds, last := table.find(id)
						require.Equal(t, want.rounds, rounds)
						if rounds > 0 {
							require.Equal(t, want.last, last)
						}
						require.Equal(t, rounds > 0, table.has([]uint64{id}, want.last))
						require.False(t, table.has([]uint64{id}, want.last+1))
					}
				}
				list := ids.Draw(t, "ids to find")
				for n := uint32(1); n < 3; n++ {
					want := 0
					for _, id := range known(list) {
						if model[id|1].rounds >= n {
							want++
						}
					}
					require.Equal(t, want, table.count(list, n))
				}
			},
		})
	})
}

func TestAnEmptySeriesTableFindsNothing(t *testing.T) {
	var table seriesTable
	rounds, _ := table.find(7)
	assert.Zero(t, rounds)
	assert.False(t, table.has([]uint64{7}, 0))
	assert.Zero(t, table.count([]uint64{7}, 1))
	assert.Zero(t, table.bytes())
}

func TestASeriesTableForgetsWhatIsGoneBeforeItGrows(t *testing.T) {
	var table seriesTable
	for round := range uint32(1000) {
		ids := []uint64{uint64(round)<<40 | 1, uint64(round)<<40 | 3}
		table.add(ids, round)
		table.remove(ids)
	}
	assert.Less(t, len(table.slots), 20)
	assert.Zero(t, table.duplicates)
}

func TestDistinctReturnsEachIdThatOthersLackOnce(t *testing.T) {
	assert.Equal(t, []uint64{3, 5}, distinct([]uint64{3, 9, 5, 3, 9}, []uint64{9, 11}))
	assert.Equal(t, []uint64{3}, distinct([]uint64{3, 3}, nil))
	assert.Empty(t, distinct(nil, []uint64{3}))
	assert.Empty(t, distinct([]uint64{3}, []uint64{3}))
}

func TestASeriesIsVisitedForTheFirstTimeOnce(t *testing.T) {
	var table seriesTable
	table.add([]uint64{3, 5}, 0)
	assert.True(t, table.visit(3))
	assert.False(t, table.visit(3))
	assert.True(t, table.visit(5))
}
