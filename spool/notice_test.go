package spool

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestWhatNobodyIsToldOfTakesNoMoreMemory(t *testing.T) {
	q, err := Open(t.TempDir(), WithNoSync(), WithMaxBytes(1), WithOverflow(queue.DropNewest))
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	const refused = 3 * maxNotices
	require.NoError(t, q.Put(t.Context(), metrictest.Numbers(1, 1)))
	for range refused {
		require.ErrorIs(t, q.Put(t.Context(), metrictest.Numbers(1, 1)), queue.ErrFull)
	}
	q.mu.Lock()
	for range 2 * maxNotices {
		q.noteFailure(errors.New("trouble"))
	}
	assert.LessOrEqual(t, len(q.notices), maxNotices)
	q.mu.Unlock()

	o := new(told)
	q.Observe(o.observer())
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonOverflow: refused}, o.dropped())
	assert.ErrorContains(t, o.failures(), "128 more errors")
}
