package spool

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

func size(t testing.TB, q *Queue) int64 {
	info, err := os.Stat(q.path())
	require.NoError(t, err)
	return info.Size()
}

// mayBeFree makes queues that are opened from now on replace files with more
// free pages.
func mayBeFree(t *testing.T, pages int) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be renamed there")
	}
	before := maxFreePages
	t.Cleanup(func() { maxFreePages = before })
	maxFreePages = pages
}

func TestTheFileOfABacklogIsReplacedOnceThatIsDelivered(t *testing.T) {
	mayBeFree(t, 50)
	dir := t.TempDir()
	q, o := open(t, dir, WithNoSync())
	putValues(t, q, 100, sequence(1, 400)...)
	large := size(t, q)
	require.Equal(t, sequence(1, 400), drain(t, q))
	putValues(t, q, 1, 401, 402)
	assert.Less(t, size(t, q), large/4)
	assert.Equal(t, uint64(402), q.Stats().Last)
	e, err := q.Take(t.Context(), queue.Limit{})
	require.NoError(t, err)
	assert.Equal(t, uint64(401), e.Position())
	require.NoError(t, q.Close())
	require.NoError(t, o.failures())

	q, o = open(t, dir)
	assert.Equal(t, uint64(402), q.Stats().Last)
	require.Equal(t, []int64{401, 402}, drain(t, q))
	require.NoError(t, o.failures())
}

func TestPositionsGoOnInAReplacedFileAcrossRestarts(t *testing.T) {
	mayBeFree(t, 0)
	dir := t.TempDir()
	for value := int64(1); value <= 5; value++ {
		q, _ := open(t, dir)
		putValues(t, q, 1, value)
		require.Equal(t, []int64{value}, drain(t, q))
		assert.Equal(t, uint64(value), q.Stats().Last)
		require.NoError(t, q.Close())
	}
}

func TestAFileWithRecordsOfANewerReleaseIsNotReplaced(t *testing.T) {
	mayBeFree(t, 0)
	dir := filled(t, 1, 2)
	newer := []byte{frame.Version + 1}
	edit(t, dir, func(records, index *bbolt.Bucket) error {
		if err := putRecord(records, 1, newer); err != nil {
			return err
		}
		return index.Put(key(1), newer)
	})
	q, _ := open(t, dir)
	require.Equal(t, []int64{2}, drain(t, q))
	require.NoError(t, q.Close())
	edit(t, dir, func(records, _ *bbolt.Bucket) error {
		assert.Equal(t, newer, getRecord(records, 1))
		return nil
	})
}

// What is in flight is in the file, too.
func TestAFileIsNotReplacedWhileSomethingIsInFlight(t *testing.T) {
	mayBeFree(t, 0)
	dir := filled(t, 1, 2)
	q, _ := open(t, dir)
	first, err := q.Take(t.Context(), queue.Limit{})
	require.NoError(t, err)
	require.Equal(t, []int64{2}, drain(t, q))
	require.NoError(t, q.Close())
	q, _ = open(t, dir)
	require.Equal(t, []int64{1}, drain(t, q))
	require.Error(t, first.Settle(queue.Outcome{Exported: 1}), "another queue has the file")
}

func TestAFileThatCannotBeReplacedIsKept(t *testing.T) {
	mayBeFree(t, 0)
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(dir+"/"+fileName+freshSuffix+"/in the way", 0o700))
	q, o := open(t, dir)
	for value := range int64(20) {
		putValues(t, q, 1, value)
		require.Equal(t, []int64{value}, drain(t, q))
	}
	require.NoError(t, o.failures())
	require.NoError(t, q.Close())
	assert.Positive(t, q.pause, "it is not tried each time")
}

func TestWhatAProcessLeftThatEndedWhileReplacingIsRemoved(t *testing.T) {
	dir := filled(t, 1)
	left := dir + "/" + fileName + freshSuffix
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))
	q, _ := open(t, dir)
	require.Equal(t, []int64{1}, drain(t, q))
	assert.NoFileExists(t, left)
}

// Whoever waits for the file gets the one that has replaced it.
func TestAnotherProcessMayFollowWhenTheFileIsReplaced(t *testing.T) {
	mayBeFree(t, 0)
	for range 20 {
		dir := filled(t, 1)
		q, _ := open(t, dir, WithNoSync()) // the other one waits for a second only
		e, err := q.Take(t.Context(), queue.Limit{})
		require.NoError(t, err)
		followed := make(chan error)
		go func() {
			next, err := Open(dir, WithNoSync())
			if err == nil {
				err = next.Close()
			}
			followed <- err
		}()
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
		require.NoError(t, q.Close())
		require.NoError(t, <-followed)
	}
}

func TestOneProcessAtATimeHasAReplacedFile(t *testing.T) {
	mayBeFree(t, 0)
	dir := filled(t, 1)
	q, _ := open(t, dir)
	require.Equal(t, []int64{1}, drain(t, q))
	putValues(t, q, 1, 2) // it has been replaced before that
	_, err := Open(dir)
	require.ErrorContains(t, err, "uses it")
	require.Equal(t, []int64{2}, drain(t, q))
}
