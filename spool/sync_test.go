package spool

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var errDisk = errors.New("input/output error")

// failLastSync makes the last sync of the next transaction fail, when all has
// been written, and so many attempts to make up for it. It counts transactions.
func failLastSync(t *testing.T, attempts int) (transactions *int) {
	updateBefore, confirmBefore := update, confirm
	t.Cleanup(func() { update, confirm = updateBefore, confirmBefore })
	transactions = new(int)
	update = func(db *bbolt.DB, f func(*bbolt.Tx) error) error {
		err := updateBefore(db, f)
		if *transactions++; *transactions == 1 {
			return errors.Join(err, errDisk)
		}
		return err
	}
	confirm = func(s *store, transaction int) error {
		if attempts > 0 {
			attempts--
			return errDisk
		}
		return confirmBefore(s, transaction)
	}
	return transactions
}

func TestALastSyncThatFailsIsMadeUpFor(t *testing.T) {
	dir := filled(t, 1)
	q, o := open(t, dir)
	failLastSync(t, 0)
	putValues(t, q, 1, 2)
	require.Equal(t, []int64{1, 2}, drain(t, q))
	require.NoError(t, q.Close())
	assert.NoError(t, o.failures())
}

func TestPutSaysThatTheDiskDidNotConfirm(t *testing.T) {
	dir := filled(t, 1)
	q, o := open(t, dir)
	failLastSync(t, 1)
	err := q.Put(t.Context(), metrictest.Numbers(1, 2))
	require.ErrorIs(t, err, errDisk)
	require.ErrorIs(t, err, errUnsynced)
	require.ErrorContains(t, err, dir)
	requireConserved(t, q)
	require.Equal(t, []int64{1, 2}, drain(t, q), "it is queued all the same")
	require.NoError(t, q.Close())
	assert.NoError(t, o.failures(), "Put has said it")
	q, _ = open(t, dir)
	assert.Empty(t, drain(t, q))
}

func TestAnEndThatTheDiskDidNotConfirmIsReported(t *testing.T) {
	q, o := open(t, filled(t, 1))
	e, err := q.Take(t.Context(), queue.Limit{})
	require.NoError(t, err)
	transactions := failLastSync(t, 1)
	require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	assert.Equal(t, 1, *transactions, "it is in the file")
	assert.ErrorIs(t, o.failures(), errDisk)
}

// Until the disk has the last transaction, no other may write.
func TestNothingIsWrittenBeforeTheDiskHasConfirmed(t *testing.T) {
	q, _ := open(t, filled(t, 1))
	transactions := failLastSync(t, 2)
	require.ErrorIs(t, q.Put(t.Context(), metrictest.Numbers(1, 2)), errUnsynced)
	err := q.Put(t.Context(), metrictest.Numbers(1, 3))
	require.ErrorIs(t, err, errDisk)
	require.NotErrorIs(t, err, errUnsynced, "it is not queued")
	assert.Equal(t, 1, *transactions)
	putValues(t, q, 1, 4)
	assert.Equal(t, []int64{1, 2, 4}, drain(t, q))
}

// The process that wrote last may have ended before the disk confirmed it.
func TestOpenMakesTheLastTransactionDurable(t *testing.T) {
	dir := filled(t, 1)
	transactions := failLastSync(t, 1)
	_, err := Open(dir)
	require.ErrorIs(t, err, errDisk)
	assert.Zero(t, *transactions)
	q, _ := open(t, dir)
	assert.Equal(t, []int64{1}, drain(t, q))
}

func TestTheNameOfAReplacedFileIsMadeDurable(t *testing.T) {
	mayBeFree(t, 0)
	var syncs atomic.Int64
	before := syncNames
	t.Cleanup(func() { syncNames = before })
	dir := filled(t, 1)
	syncNames = func(dir string) error {
		syncs.Add(1)
		return before(dir)
	}
	q, _ := open(t, dir)
	require.Equal(t, []int64{1}, drain(t, q))
	putValues(t, q, 1, 2)
	assert.Equal(t, int64(3), syncs.Load(), "at Open, before the new file has the name, and after that")
}
