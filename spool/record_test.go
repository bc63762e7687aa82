package spool

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// edit changes what a closed queue has stored.
func edit(t *testing.T, dir string, f func(records, index *bbolt.Bucket) error) {
	t.Helper()
	db, err := bbolt.Open(dir+"/"+fileName, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		return f(tx.Bucket(bucketRecords), tx.Bucket(bucketIndex))
	}))
	require.NoError(t, db.Close())
}

// filled returns a folder with records of two data points and these values.
func filled(t *testing.T, values ...int64) (dir string) {
	t.Helper()
	dir = t.TempDir()
	q, _ := open(t, dir, WithNoSync())
	putValues(t, q, 2, values...)
	require.NoError(t, q.Close())
	return dir
}

func TestABadRecordIsDroppedAndTheOthersAreDelivered(t *testing.T) {
	damage := map[string]func(record []byte) []byte{
		"a byte":     func(r []byte) []byte { r[len(r)/2] ^= 1; return r },
		"its length": func(r []byte) []byte { return r[:len(r)-3] },
		"missing":    func([]byte) []byte { return nil },
		"version 0":  func(r []byte) []byte { r[0] = 0; return r },
		"not OTLP": func([]byte) []byte {
			r, _ := frame.Append(nil, []byte("something else"))
			return r
		},
	}
	for name, f := range damage {
		t.Run(name, func(t *testing.T) {
			dir := filled(t, 1, 2, 3)
			edit(t, dir, func(records, _ *bbolt.Bucket) error {
				r := f(append([]byte(nil), getRecord(records, 2)...))
				if r == nil {
					return deleteRecord(records, 2)
				}
				return putRecord(records, 2, r)
			})
			q, o := open(t, dir)
			require.Equal(t, 6, q.Stats().Queued)
			require.Equal(t, []int64{1, 3}, drain(t, q))
			assert.Equal(t, map[queue.DropReason]int{queue.ReasonCorrupt: 2}, o.dropped())
			assert.ErrorIs(t, o.drops[0].Err, frame.ErrCorrupt)
			assert.NoError(t, o.failures())
			assert.Equal(t, uint64(2), q.Stats().Dropped)
			assert.Empty(t, setAsideFiles(t, dir))
			require.NoError(t, q.Close())
			q, _ = open(t, dir)
			assert.Zero(t, q.Stats().Queued, "it is gone for good")
		})
	}
}

func TestABadIndexIsMadeAnewFromTheRecord(t *testing.T) {
	dir := filled(t, 1, 2, 3)
	edit(t, dir, func(_, index *bbolt.Bucket) error {
		x := append([]byte(nil), index.Get(key(2))...)
		x[5] ^= 1
		return index.Put(key(2), x)
	})
	q, o := open(t, dir)
	require.Equal(t, 6, q.Stats().Queued)
	require.Equal(t, []int64{1, 2, 3}, drain(t, q))
	assert.NoError(t, o.failures())
}

func TestABadIndexOfABadRecordCostsThatRecord(t *testing.T) {
	dir := filled(t, 1, 2, 3)
	edit(t, dir, func(records, index *bbolt.Bucket) error {
		if err := putRecord(records, 2, []byte{1, 2, 3}); err != nil {
			return err
		}
		return index.Put(key(2), []byte{frame.Version})
	})
	q, o := open(t, dir)
	require.Equal(t, 4, q.Stats().Queued)
	require.Equal(t, []int64{1, 3}, drain(t, q))
	assert.ErrorContains(t, o.failures(), "position 2")
}

func TestARecordOfANewerReleaseIsLeftInPlaceAndReportedOnce(t *testing.T) {
	dir := filled(t, 1, 2, 3)
	edit(t, dir, func(records, index *bbolt.Bucket) error {
		if err := putRecord(records, 2, []byte{frame.Version + 1, 'x'}); err != nil {
			return err
		}
		return index.Put(key(2), []byte{frame.Version + 1, 'y'})
	})
	for range 2 {
		q, o := open(t, dir)
		putValues(t, q, 2, 4)
		last := q.Stats().Last
		drain(t, q)
		require.True(t, q.Stats().Passed(last))
		assert.ErrorIs(t, o.failures(), frame.ErrVersion)
		assert.ErrorContains(t, o.failures(), dir)
		assert.Len(t, o.failed, 1)
		assert.Empty(t, o.drops)
		require.NoError(t, q.Close())
	}
	edit(t, dir, func(records, index *bbolt.Bucket) error {
		assert.Equal(t, []byte{frame.Version + 1, 'x'}, getRecord(records, 2))
		assert.Equal(t, []byte{frame.Version + 1, 'y'}, index.Get(key(2)))
		return nil
	})
}

// A version is one byte, and so no proof: a newer release would have written
// both.
func TestAVersionThatOnlyOneOfFrameAndIndexHasIsDamage(t *testing.T) {
	t.Run("frame", func(t *testing.T) {
		dir := filled(t, 1, 2, 3)
		edit(t, dir, func(records, _ *bbolt.Bucket) error {
			r := append([]byte(nil), getRecord(records, 2)...)
			r[0] = frame.Version + 1
			return putRecord(records, 2, r)
		})
		q, o := open(t, dir)
		require.Equal(t, []int64{1, 3}, drain(t, q))
		assert.Equal(t, map[queue.DropReason]int{queue.ReasonCorrupt: 2}, o.dropped())
		assert.ErrorIs(t, o.drops[0].Err, frame.ErrCorrupt)
		assert.NoError(t, o.failures())
	})
	t.Run("index", func(t *testing.T) {
		dir := filled(t, 1, 2, 3)
		edit(t, dir, func(_, index *bbolt.Bucket) error {
			x := append([]byte(nil), index.Get(key(2))...)
			x[0] = frame.Version + 1
			return index.Put(key(2), x)
		})
		q, o := open(t, dir)
		require.Equal(t, []int64{1, 2, 3}, drain(t, q))
		assert.NoError(t, o.failures())
		assert.Empty(t, o.drops)
	})
}

// What a newer release wrote is not deleted because its index is damaged.
func TestADamagedIndexOfANewerRecordLeavesTheRecord(t *testing.T) {
	dir := filled(t, 1, 2)
	newer := []byte{frame.Version + 1, 'x'}
	edit(t, dir, func(records, index *bbolt.Bucket) error {
		return errors.Join(putRecord(records, 1, newer), index.Put(key(1), []byte{0}))
	})
	q, o := open(t, dir)
	require.Equal(t, []int64{2}, drain(t, q))
	assert.ErrorIs(t, o.failures(), frame.ErrVersion)
	require.NoError(t, q.Close())
	edit(t, dir, func(records, _ *bbolt.Bucket) error {
		assert.Equal(t, newer, getRecord(records, 1))
		return nil
	})
}

func TestAFileOfANewerReleaseIsRefusedAndLeftAlone(t *testing.T) {
	dir := filled(t, 1)
	db, err := bbolt.Open(dir+"/"+fileName, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keyFormat, encodeFormat(formatVersion+1))
	}))
	require.NoError(t, db.Close())
	before, err := os.ReadFile(dir + "/" + fileName)
	require.NoError(t, err)
	_, err = Open(dir)
	require.ErrorIs(t, err, errFormat)
	require.ErrorContains(t, err, dir)
	after, err := os.ReadFile(dir + "/" + fileName)
	require.NoError(t, err)
	require.Equal(t, before, after)
	assert.Empty(t, setAsideFiles(t, dir))
}

func TestTheClockMayGoBackwards(t *testing.T) {
	dir := filled(t, 1, 2)
	edit(t, dir, func(_, index *bbolt.Bucket) error {
		x, err := decodeIndex(1, index.Get(key(1)))
		x.oldest, x.newest = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		require.NoError(t, err)
		return index.Put(key(1), x.encode(1))
	})
	q, o := open(t, dir, WithMaxAge(time.Minute))
	assert.GreaterOrEqual(t, time.Since(q.Stats().Oldest), time.Duration(0))
	e, err := q.Take(t.Context(), queue.Limit{})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(e.Accepted()), time.Duration(0))
	require.NoError(t, q.Close())
	require.NoError(t, e.Settle(queue.Outcome{Exported: 2}), "the times in the file are others")
	q, _ = open(t, dir)
	require.Equal(t, []int64{2}, drain(t, q))
	assert.Empty(t, o.drops)
}

func TestFrameLayoutIsWhatItsDocumentationSays(t *testing.T) {
	f, err := frame.Append([]byte("prefix"), []byte("data"))
	require.NoError(t, err)
	f = f[len("prefix"):]
	assert.Equal(t, byte(1), f[0])
	assert.Equal(t, uint32(0xFD2FB528), binary.LittleEndian.Uint32(f[5:]), "the magic number of zstd")
}
