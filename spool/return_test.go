package spool

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// take takes n entries.
func take(t *testing.T, q *Queue, n int) (entries []queue.Entry) {
	t.Helper()
	for range n {
		e, err := q.Take(t.Context(), queue.Limit{})
		require.NoError(t, err)
		entries = append(entries, e)
	}
	return entries
}

func TestWhatIsReturnedKeepsItsOrderWhateverTheOrderOfReturns(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}} {
		q, _ := open(t, t.TempDir(), WithNoSync())
		putValues(t, q, 2, 1, 2, 3, 4, 5)
		before := q.Stats()
		entries := take(t, q, 3)
		for _, i := range order {
			require.NoError(t, entries[i].Return())
			requireConserved(t, q)
		}
		assert.Equal(t, before, q.Stats())
		require.Equal(t, []int64{1, 2, 3, 4, 5}, drain(t, q), "%v", order)
	}
}

func TestWhatIsReturnedSurvivesCloseAndIsNextAfterARestart(t *testing.T) {
	dir := t.TempDir()
	q, o := open(t, dir)
	putValues(t, q, 2, 1, 2, 3, 4)
	entries := take(t, q, 3)
	require.NoError(t, entries[1].Return())
	require.NoError(t, entries[2].Settle(queue.Outcome{Exported: 2}))
	require.NoError(t, q.Close())
	require.NoError(t, entries[0].Return(), "after Close it stays in the file")
	assert.Zero(t, q.Stats().InFlight)
	assert.Equal(t, 3, q.Stats().Collections)
	requireConserved(t, q)
	assert.Empty(t, o.dropped())

	q, _ = open(t, dir)
	require.Equal(t, []int64{1, 2, 4}, drain(t, q))
}

func TestAnEntryEndsOnceThoughItIsTakenAgain(t *testing.T) {
	q, _ := open(t, t.TempDir(), WithNoSync())
	putValues(t, q, 2, 1)
	first := take(t, q, 1)[0]
	require.NoError(t, first.Return())
	second := take(t, q, 1)[0]
	require.Error(t, first.Return())
	require.ErrorContains(t, first.Settle(queue.Outcome{Exported: 2}), "settled or returned before")
	assert.Equal(t, 2, q.Stats().InFlight)
	require.Equal(t, int64(1), metrictest.Value(second.Collection()))
	require.NoError(t, second.Settle(queue.Outcome{Exported: 2}))
	require.Error(t, second.Return())
	requireConserved(t, q)
	assert.Zero(t, q.Stats().First)
}

// An older entry that has been returned, while a newer one is in flight, is the
// first that has not ended.
func TestFirstIsTheOldestOfWhatWaitsAndWhatIsInFlight(t *testing.T) {
	q, _ := open(t, t.TempDir(), WithNoSync())
	putValues(t, q, 2, 1, 2, 3)
	entries := take(t, q, 2)
	require.NoError(t, entries[0].Return())
	assert.Equal(t, uint64(1), q.Stats().First)
	again := take(t, q, 1)[0]
	assert.Equal(t, uint64(1), q.Stats().First)
	require.NoError(t, again.Settle(queue.Outcome{Exported: 2}))
	assert.Equal(t, uint64(2), q.Stats().First)
	assert.True(t, q.Stats().Passed(1))
	assert.False(t, q.Stats().Passed(2))
}

func TestCollectionsAreNotJoinedAcrossOneInFlight(t *testing.T) {
	q, o := open(t, t.TempDir(), WithNoSync())
	putValues(t, q, 20, 1, 2)
	q.config.maxBytes = q.Bytes() // full from now on
	entries := take(t, q, 2)
	require.NoError(t, entries[0].Return())
	putValues(t, q, 20, 3) // there is room, as the second is in flight
	putValues(t, q, 20, 4) // there is none, and the first cannot be joined with the third
	require.NoError(t, entries[1].Return())
	var sums []int64
	for e, err := q.Take(t.Context(), queue.Limit{}); err == nil; e, err = q.Take(t.Context(), queue.Limit{}) {
		sums = append(sums, metrictest.Value(e.Collection()))
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
	assert.Equal(t, []int64{1, 2, 3 + 4}, sums)
	assert.Empty(t, o.dropped())
}
