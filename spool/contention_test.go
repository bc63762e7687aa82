package spool

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// Calls of Put that share a transaction must not keep each other from joining.
func TestConcurrentPutsLoseNoTotalsHoweverTightTheBound(t *testing.T) {
	for _, bound := range []int64{1, 110, 220, 310} {
		q, told := open(t, t.TempDir(), WithMaxBytes(bound), WithNoSync())
		var producers sync.WaitGroup
		for range 8 {
			producers.Go(func() {
				for range 50 {
					assert.NoError(t, q.Put(t.Context(), metrictest.Numbers(5, 1)))
				}
			})
		}
		producers.Wait()
		assert.Empty(t, told.dropped(), "bound %d", bound)
		total := int64(0)
		for {
			e, err := q.Take(t.Context(), queue.Limit{})
			if err != nil {
				require.ErrorIs(t, err, queue.ErrEmpty)
				break
			}
			total += metrictest.Value(e.Collection())
			require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
		}
		assert.Equal(t, int64(8*50), total, "bound %d", bound)
	}
}

// Calls of Put that join what they bring to the only entry must leave it to
// Take in between, and not hold up the reading of it.
func TestSteadyProducersDoNotHoldUpTake(t *testing.T) {
	q, _ := open(t, t.TempDir(), WithMaxBytes(1), WithNoSync())
	const producers = 8
	var puts atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range producers {
		running.Go(func() {
			for ctx.Err() == nil {
				assert.NoError(t, q.Put(t.Context(), metrictest.Numbers(50, 1)))
				puts.Add(1)
			}
		})
	}
	for taken := 0; taken < 50; {
		before := puts.Load()
		e, err := q.Take(t.Context(), queue.Limit{})
		if errors.Is(err, queue.ErrEmpty) {
			continue
		}
		require.NoError(t, err)
		require.LessOrEqual(t, puts.Load()-before, int64(50*producers))
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
		taken++
	}
	stop()
	running.Wait()
}

// of returns a collection that can be joined with those of the same name only.
func of(name string, points int, value int64) *metricdata.ResourceMetrics {
	rm := metrictest.Numbers(points, value)
	rm.Resource = resource.NewSchemaless(attribute.String("service.name", name))
	return rm
}

// After a restart the queue has forgotten how coarse its records are. However
// many there are, the first Put that needs room finds a pair.
func TestACoarseBacklogHasRoomForWhatCannotBeJoinedToIt(t *testing.T) {
	const records = 20_000
	dir := t.TempDir()
	q, _ := open(t, dir, WithNoSync())
	p, err := newPut(metrictest.Numbers(1, 1))
	require.NoError(t, err)
	p.index.parts = 1 << 16
	c := change{last: records}
	for position := range uint64(records) {
		c.writes = append(c.writes, write{position + 1, p.frame, p.index.encode(position + 1)})
	}
	require.NoError(t, q.store.apply(&c))
	require.NoError(t, q.Close())

	q, told := open(t, dir, WithNoSync(), WithMaxBytes(records*p.index.size))
	for i := range 5 {
		require.NoError(t, q.Put(t.Context(), of("another", 1, int64(i))))
	}
	assert.Empty(t, told.dropped())
	assert.Equal(t, records+5, q.Stats().Queued+int(q.Stats().Coalesced))
}

// What has been joined to make room may be joined further, rather than that
// something is dropped.
func TestPairsAreJoinedUntilThereIsRoom(t *testing.T) {
	for _, records := range []int64{3, 5, 7} {
		for points := 10; points <= 240; points += 10 {
			dir := t.TempDir()
			q, _ := open(t, dir, WithNoSync())
			for range records {
				require.NoError(t, q.Put(t.Context(), metrictest.Numbers(20, 1)))
			}
			full := q.Bytes()
			require.NoError(t, q.Close())
			p, err := newPut(of("another", points, 1))
			require.NoError(t, err)
			if p.index.size > full-3*full/(2*records) { // all of them joined take a little more than one
				break
			}
			q, told := open(t, dir, WithNoSync(), WithMaxBytes(full))
			require.NoError(t, q.Put(t.Context(), of("another", points, 1)))
			assert.Empty(t, told.dropped(), "%d records, then %d points", records, points)
			require.NoError(t, q.Close())
		}
	}
}

// A record that turns out to be corrupt when it is to be joined ends once.
func TestCorruptRecordAmongThoseToJoinEndsOnce(t *testing.T) {
	dir := t.TempDir()
	q, _ := open(t, dir)
	for i, name := range []string{"a", "a", "b", "c", "d"} {
		require.NoError(t, q.Put(t.Context(), of(name, 1, int64(i))))
	}
	full := q.Bytes()
	require.NoError(t, q.Close())
	q, told := open(t, dir, WithMaxBytes(full))
	require.NoError(t, q.store.db.Update(func(tx *bbolt.Tx) error {
		records := tx.Bucket(bucketRecords)
		record := append([]byte(nil), getRecord(records, 1)...)
		record[len(record)-1] ^= 1
		return putRecord(records, 1, record)
	}))
	require.NoError(t, q.Put(t.Context(), of("e", 100, 5))) // joins what it can, then drops
	s := q.Stats()
	assert.Equal(t, s.Accepted, s.Exported+s.Dropped+s.Coalesced+uint64(s.Queued))
	assert.LessOrEqual(t, told.dropped()[queue.ReasonCorrupt], 1)
	require.NoError(t, q.Close())
	again, _ := open(t, dir)
	assert.Equal(t, s.Queued, again.Stats().Queued, "memory and file agree")
	assert.Equal(t, s.Collections, again.Stats().Collections)
}
