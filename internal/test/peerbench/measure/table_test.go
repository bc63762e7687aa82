package measure

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQuantiles(t *testing.T) {
	for _, c := range []struct {
		sample                Sample
		min, median, p99, max float64
	}{
		{nil, 0, 0, 0, 0},
		{Sample{7}, 7, 7, 7, 7},
		{Sample{3, 1}, 1, 1, 3, 3},
		{Sample{5, 1, 4, 2, 3}, 1, 3, 5, 5},
	} {
		assert.Equal(t, c.min, c.sample.Min(), c.sample)
		assert.Equal(t, c.median, c.sample.Median(), c.sample)
		assert.Equal(t, c.p99, c.sample.Quantile(0.99), c.sample)
		assert.Equal(t, c.max, c.sample.Max(), c.sample)
	}
	hundred := make(Sample, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	assert.Equal(t, 99.0, hundred.Quantile(0.99))
	assert.Equal(t, 100.0, hundred[0], "is not sorted in place")
}

func TestRivalsTakeTurns(t *testing.T) {
	rivals := []rival.Rival{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	table := emptyTable("turns", "a", []Column{{Name: "turn"}}, rivals)
	var order string
	require.NoError(t, Plan{Repetitions: 4}.rotate(rivals, func(r rival.Rival) error {
		order += r.Name
		table.add(r.Name, float64(len(order)))
		return nil
	}))
	assert.Equal(t, "abc"+"bca"+"cab"+"abc", order)
	row, ok := table.Row("b")
	require.True(t, ok)
	assert.Equal(t, []Sample{{2, 4, 9, 11}}, row.Cells)
	assert.Equal(t, "b", table.Rows[1].Rival, "in the order that was given, not that of the turns")
	_, ok = table.Row("d")
	assert.False(t, ok)
}

func TestAnErrorNamesTheRival(t *testing.T) {
	err := Plan{Repetitions: 1}.rotate([]rival.Rival{{Name: "a"}}, func(rival.Rival) error { return assert.AnError })
	assert.ErrorIs(t, err, assert.AnError)
	assert.ErrorContains(t, err, "a: ")
}

func TestQuantilesAreOfAllRepetitionsTogether(t *testing.T) {
	var r Row
	r.pool([]Sample{{1, 2, 3}, {4, 5, 60}, {1, 1, 1}})
	assert.Equal(t, []Sample{{2, 5, 1}, {60}}, r.Cells)
	assert.Equal(t, 2.0, r.Value(0))
	assert.Equal(t, 60.0, r.Value(1))
}

func TestARowWithoutPooledValuesHasTheMedian(t *testing.T) {
	assert.Equal(t, 2.0, Row{Cells: []Sample{{1, 2, 3}}}.Value(0))
}

func TestARowCanBeBelowThatOfARival(t *testing.T) {
	table := emptyTable("rows", "a", []Column{{Name: "value"}}, []rival.Rival{{Name: "a"}, {Name: "b"}})
	table.addBelow("a", "(part of a)")
	table.add("(part of a)", 7)
	assert.Equal(t, Row{Rival: "(part of a)", Cells: []Sample{{7}}}, table.Rows[1])
	assert.Equal(t, "b", table.Rows[2].Rival)
}

// The rows of what is not a rival belong to one that is there.
func TestTheConversionIsBelowItsRival(t *testing.T) {
	for _, c := range []struct {
		measure func(Plan) (*Table, error)
		above   string
	}{
		{func(p Plan) (*Table, error) { return p.Held(t.Context()) }, rival.NameHelper},
		{func(p Plan) (*Table, error) { return p.Disk(t.Context()) }, conversionOf},
	} {
		table, err := c.measure(Quick())
		require.NoError(t, err)
		at := table.index(NameConversion)
		require.Equal(t, table.index(c.above)+1, at)
		part, whole := table.Rows[at], table.Rows[at-1]
		assert.Positive(t, part.Value(0))
		assert.Less(t, part.Value(0), whole.Value(0))
	}
}
