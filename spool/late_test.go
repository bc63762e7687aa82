package spool

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/asyncmetric/asyncmetric/queue"
)

// taken returns an entry of a queue that has been closed meanwhile.
func taken(t *testing.T, dir string) *entry {
	t.Helper()
	q, _ := open(t, dir)
	e, err := q.Take(t.Context(), queue.Limit{})
	require.NoError(t, err)
	require.NoError(t, q.Close())
	return e.(*entry)
}

// circle makes the bucket of the only record begin at the page that it is in.
func circle(t *testing.T, dir string) {
	t.Helper()
	var root, size int
	edit(t, dir, func(records, _ *bbolt.Bucket) error {
		root, size = int(records.Root()), records.Tx().DB().Info().PageSize
		return nil
	})
	content, err := os.ReadFile(dir + "/" + fileName)
	require.NoError(t, err)
	page := content[root*size : (root+1)*size]
	require.Equal(t, uint16(leafPage), binary.NativeEndian.Uint16(page[8:]))
	position, key := binary.NativeEndian.Uint32(page[pageHeader+4:]), binary.NativeEndian.Uint32(page[pageHeader+8:])
	binary.NativeEndian.PutUint64(page[pageHeader+position+key:], uint64(root))
	require.NoError(t, os.WriteFile(dir+"/"+fileName, content, 0o600))
}

func TestSettleAfterCloseSurvivesADamagedFile(t *testing.T) {
	dir := filled(t, 1)
	e := taken(t, dir)
	circle(t, dir)
	require.ErrorIs(t, e.Settle(queue.Outcome{Exported: e.Points()}), errDamaged)
}

func TestSettleAfterCloseSaysThatItCannotFindTheRecord(t *testing.T) {
	dir := filled(t, 1)
	damageIndex := func(_, index *bbolt.Bucket) error { return index.Put(key(1), []byte{0}) }
	edit(t, dir, damageIndex)
	e := taken(t, dir)
	require.ErrorContains(t, e.Settle(queue.Outcome{Exported: e.Points()}), "may be delivered again")
	q, _ := open(t, dir)
	assert.Equal(t, []int64{1}, drain(t, q))
}
