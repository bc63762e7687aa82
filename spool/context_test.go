package spool

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// soon is much longer than anything here takes, unless it waits for ever.
const soon = 20 * time.Second

// hangDisk makes transactions of a queue hang until the function that it returns
// is called, and then fail with the error that this gets, or succeed. Begun has a
// value once one hangs.
func hangDisk(t *testing.T, q *Queue) (begun <-chan struct{}, release func(error)) {
	before := update
	hangs, gate := make(chan struct{}, 1), make(chan struct{})
	var failure error
	update = func(db *bbolt.DB, f func(*bbolt.Tx) error) error {
		select {
		case hangs <- struct{}{}:
		default:
		}
		<-gate
		if failure != nil {
			return failure
		}
		return before(db, f)
	}
	var once sync.Once
	release = func(err error) { once.Do(func() { failure = err; close(gate) }) }
	t.Cleanup(func() {
		release(nil)
		_ = q.Close()
		update = before
	})
	return hangs, release
}

func TestPutReturnsWhenItsContextEndsThoughTheDiskHangs(t *testing.T) {
	for _, overflow := range []queue.Overflow{queue.Coalesce, queue.DropOldest, queue.DropNewest, queue.Block} {
		t.Run(overflow.String(), func(t *testing.T) {
			dir := t.TempDir()
			q, o := open(t, dir, WithOverflow(overflow))
			begun, release := hangDisk(t, q)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-begun
				cancel()
			}()
			err := q.Put(ctx, metrictest.Numbers(3, 1))
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorContains(t, err, "may still be queued")
			require.ErrorContains(t, err, dir)
			assert.Zero(t, q.Stats(), "it has not been accepted yet")

			// What the writer has not begun with can still leave.
			ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			require.Equal(t, context.DeadlineExceeded, q.Put(ctx, metrictest.Numbers(3, 2)))

			release(nil)
			<-q.Ready()
			requireConserved(t, q)
			assert.Equal(t, uint64(3), q.Stats().Accepted)
			require.Equal(t, []int64{1}, drain(t, q))
			assert.NoError(t, o.failures())
		})
	}
}

func TestAFailureThatPutDidNotWaitForIsToldToTheObserver(t *testing.T) {
	dir := t.TempDir()
	q, o := open(t, dir)
	begun, release := hangDisk(t, q)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	require.ErrorIs(t, q.Put(ctx, metrictest.Numbers(3, 1)), errBegun)
	release(errDisk)
	<-q.Ready()
	assert.Empty(t, drain(t, q))
	assert.Zero(t, q.Stats())
	require.ErrorIs(t, o.failures(), errDisk)
	require.ErrorContains(t, o.failures(), dir)
}

// What the writer drops for a call that does not wait any more is told as well.
func TestWhatAnAbandonedPutDropsIsTold(t *testing.T) {
	q, o := open(t, t.TempDir(), WithMaxBytes(1), WithOverflow(queue.DropOldest))
	putValues(t, q, 2, 1)
	<-q.Ready()
	begun, release := hangDisk(t, q)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	rm := metrictest.Numbers(3, 2)
	rm.ScopeMetrics[0].Metrics = append(unfit(), rm.ScopeMetrics[0].Metrics...)
	require.ErrorIs(t, q.Put(ctx, rm), errBegun)
	release(nil)
	<-q.Ready()
	requireConserved(t, q)
	assert.Equal(t, uint64(1), q.Stats().First, "the observer has not heard of the drop")
	require.Equal(t, []int64{2}, drain(t, q))
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonOverflow: 2, queue.ReasonPermanent: 2}, o.dropped())
	assert.Zero(t, q.Stats().First)
}

func TestPutWithAContextThatHasEndedIsAcceptedWithinTheGrace(t *testing.T) {
	for _, overflow := range []queue.Overflow{queue.Coalesce, queue.DropOldest, queue.DropNewest, queue.Block} {
		t.Run(overflow.String(), func(t *testing.T) {
			q, _ := open(t, t.TempDir(), WithNoSync(), WithOverflow(overflow))
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.NoError(t, q.Put(ctx, metrictest.Numbers(3, 1)))
			require.Equal(t, []int64{1}, drain(t, q))
		})
	}
}

func TestPutWithAContextThatHasEndedWaitsForTheDiskNoLongerThanTheGrace(t *testing.T) {
	q, _ := open(t, t.TempDir())
	hangDisk(t, q)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	err := q.Put(ctx, metrictest.Numbers(3, 1))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "may still be queued")
	assert.GreaterOrEqual(t, time.Since(begin), queue.Grace)
	assert.Less(t, time.Since(begin), soon)
}

func TestPutWithAContextThatHasEndedDoesNotWaitForRoom(t *testing.T) {
	q, o := open(t, t.TempDir(), WithNoSync(), WithMaxBytes(1), WithOverflow(queue.Block))
	putValues(t, q, 2, 1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, q.Put(ended, metrictest.Numbers(3, 2)))

	// Nor does it wait behind a call that waits for room.
	patient := make(chan error, 1)
	go func() { patient <- q.Put(context.WithoutCancel(t.Context()), metrictest.Numbers(3, 3)) }()
	require.Eventually(t, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.full
	}, soon, time.Millisecond)
	require.Equal(t, context.Canceled, q.Put(ended, metrictest.Numbers(3, 4)))

	first := take(t, q, 1)[0]
	require.NoError(t, <-patient)
	require.NoError(t, first.Settle(queue.Outcome{Exported: 2}))
	require.Equal(t, []int64{3}, drain(t, q))
	assert.Empty(t, o.dropped())
}

func TestTakeReturnsWhenItsContextEndsThoughTheDiskHangs(t *testing.T) {
	q, _ := open(t, filled(t, 1))
	begun, release := hangDisk(t, q)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	require.ErrorIs(t, q.Put(ctx, metrictest.Numbers(3, 2)), errBegun)
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := q.Take(ctx, queue.Limit{})
	require.True(t, errors.Is(err, context.DeadlineExceeded), "%v", err)
	release(nil)
	require.Equal(t, int64(1), metrictest.Value(take(t, q, 1)[0].Collection()))
}
