package spool

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestStartTellsWhatHappenedBefore(t *testing.T) {
	dir := filled(t, 1, 2, 3)
	edit(t, dir, func(records, index *bbolt.Bucket) error {
		if err := putRecord(records, 2, []byte{1, 2, 3}); err != nil {
			return err
		}
		return index.Put(key(2), []byte{0})
	})
	q, err := Open(dir, WithNoSync(), WithMaxBytes(1), WithOverflow(queue.DropOldest))
	require.NoError(t, err)
	require.NoError(t, q.Put(t.Context(), metrictest.Numbers(1, 4)))
	assert.Equal(t, uint64(1), q.Stats().First, "the observer has not heard of the drop")

	o := new(told)
	require.NoError(t, q.Start(o.observer()))
	require.Len(t, o.drops, 1)
	assert.Equal(t, queue.Drop{Points: 4, Reason: queue.ReasonOverflow, Err: queue.ErrFull, Position: 1}, o.drops[0])
	assert.ErrorContains(t, o.failures(), dir)
	assert.Equal(t, uint64(4), q.Stats().First)
	assert.Equal(t, uint64(4), q.Stats().Last)
	assert.Len(t, q.Ready(), 1)
	require.NoError(t, q.Close())
}

func TestAQueueIsStartedOnceAndNotAfterClose(t *testing.T) {
	q, o := open(t, t.TempDir())
	require.ErrorIs(t, q.Start(o.observer()), queue.ErrInUse)
	require.NoError(t, q.Close())

	q, err := Open(q.dir)
	require.NoError(t, err)
	require.NoError(t, q.Close())
	require.ErrorIs(t, q.Start(o.observer()), queue.ErrClosed)
}
