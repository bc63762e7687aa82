//go:build unix

package spool

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/queue"
)

// The file is mapped into memory: without care, a read beyond its new end ends
// the process.
func TestAFileThatIsTruncatedWhileItIsOpenIsReplaced(t *testing.T) {
	dir := t.TempDir()
	q, o := open(t, dir, WithNoSync())
	putValues(t, q, 500, sequence(1, 60)...)
	flight, err := q.Take(t.Context(), queue.Limit{})
	require.NoError(t, err)
	require.NoError(t, os.Truncate(q.path(), 3*4096))

	require.Empty(t, drain(t, q))
	aside := setAsideFiles(t, dir)
	require.Len(t, aside, 1)
	assert.ErrorContains(t, o.failures(), aside[0])
	assert.ErrorContains(t, o.failures(), q.path())
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonCorrupt: 59 * 500}, o.dropped())
	require.NoError(t, flight.Settle(queue.Outcome{Exported: 500}), "what was in flight is delivered")
	requireWorks(t, q)
}

func TestDamageFoundByPutLosesNothingNew(t *testing.T) {
	for _, overflow := range []queue.Overflow{queue.Coalesce, queue.DropOldest, queue.DropNewest, queue.Block} {
		t.Run(overflow.String(), func(t *testing.T) {
			dir := t.TempDir()
			q, o := open(t, dir, WithNoSync(), WithOverflow(overflow), WithMaxBytes(8000))
			for i := range int64(5) {
				putValues(t, q, 50, i)
			}
			accepted := q.Stats().Accepted
			f, err := os.OpenFile(q.path(), os.O_RDWR, 0)
			require.NoError(t, err)
			_, err = f.WriteAt(make([]byte, 28*1024), 4096)
			require.NoError(t, err)
			require.NoError(t, f.Close())

			putValues(t, q, 50, 100)
			require.Equal(t, []int64{100}, drain(t, q))
			assert.Equal(t, int(accepted), o.dropped()[queue.ReasonCorrupt])
			assert.Len(t, setAsideFiles(t, dir), 1)
			requireWorks(t, q)
		})
	}
}

func TestAFileThatCannotBeSetAsideIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	q, o := open(t, dir, WithNoSync())
	putValues(t, q, 50, sequence(1, 20)...)
	// Nothing can be renamed in a folder that is not there.
	require.NoError(t, os.Rename(dir, dir+".gone"))
	require.NoError(t, os.Truncate(dir+".gone/"+fileName, 4096))
	require.Error(t, q.Put(t.Context(), realistic(3, 1)))
	require.ErrorContains(t, o.failures(), dir)
	require.NoError(t, os.Rename(dir+".gone", dir))
	requireWorks(t, q)
	require.Len(t, setAsideFiles(t, dir), 1)
}

// requireWorks requires that a queue with nothing in it works, and still does
// after a restart.
func requireWorks(t *testing.T, q *Queue) {
	t.Helper()
	putValues(t, q, 3, 1001, 1002)
	require.Equal(t, []int64{1001, 1002}, drain(t, q))
	putValues(t, q, 3, 1003)
	require.NoError(t, q.Close())
	q, o := open(t, q.dir)
	require.Equal(t, []int64{1003}, drain(t, q))
	require.NoError(t, o.failures())
	require.NoError(t, q.Close())
}
