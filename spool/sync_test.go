package spool

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

var errDisk = errors.New("input/output error")

// failSyncs makes so many transactions fail in their last sync, when all has
// been written, from the next one on.
func failSyncs(t *testing.T, count int) {
	before := update
	t.Cleanup(func() { update = before })
	update = func(db *bbolt.DB, f func(*bbolt.Tx) error) error {
		err := db.Update(f)
		if count > 0 {
			count--
			return errors.Join(err, errDisk)
		}
		return err
	}
}

func TestALastSyncThatFailsIsMadeUpFor(t *testing.T) {
	dir := filled(t, 1)
	q, o := open(t, dir)
	failSyncs(t, 1)
	putValues(t, q, 1, 2)
	require.Equal(t, []int64{1, 2}, drain(t, q))
	require.NoError(t, q.Close())
	assert.NoError(t, o.failures())
}

func TestPutSaysThatTheDiskDidNotConfirm(t *testing.T) {
	dir := filled(t, 1)
	q, o := open(t, dir)
	failSyncs(t, 2)
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
	e, err := q.Take(t.Context(), nil)
	require.NoError(t, err)
	failSyncs(t, 2)
	require.NoError(t, e.Settle(e.Points(), 0))
	assert.ErrorIs(t, o.failures(), errDisk)
}
