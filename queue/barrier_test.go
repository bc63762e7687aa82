package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// newQueue returns a queue in which n collections of one data point wait, at
// the positions from 1 to n.
func newQueue(t *testing.T, n int) *Memory {
	m, err := NewMemory(max(n, 1), DropOldest)
	require.NoError(t, err)
	for i := range n {
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1, int64(i))))
	}
	return m
}

func startWait(ctx context.Context, m *Memory, position uint64) <-chan error {
	result := make(chan error, 1)
	go func() { result <- m.Wait(ctx, position) }()
	synctest.Wait()
	return result
}

func take(t *testing.T, m *Memory) Entry {
	t.Helper()
	e, err := m.Take(t.Context(), nil)
	require.NoError(t, err)
	return e
}

func settle(t *testing.T, e Entry) {
	t.Helper()
	require.NoError(t, e.Settle(e.Points(), 0))
}

// returned requires that Wait has returned want by now.
func returned(t *testing.T, result <-chan error, want error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-result:
		require.ErrorIs(t, err, want)
	default:
		require.Fail(t, "Wait still waits")
	}
}

func stillWaits(t *testing.T, result <-chan error) {
	t.Helper()
	synctest.Wait()
	require.Empty(t, result, "Wait has returned")
}

func TestBarrierPassesWithTheLastEntryInFrontOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newQueue(t, 3)
		first, second := startWait(t.Context(), m, 1), startWait(t.Context(), m, 2)
		all := startWait(t.Context(), m, m.Last())
		a, b, c := take(t, m), take(t, m), take(t, m)
		settle(t, b)
		stillWaits(t, first)
		stillWaits(t, second)
		settle(t, a)
		returned(t, first, nil)
		returned(t, second, nil)
		stillWaits(t, all)
		settle(t, c)
		returned(t, all, nil)
		assert.Empty(t, m.barriers)
	})
}

func TestBarrierDoesNotWaitForWhatComesAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newQueue(t, 1)
		wait := startWait(t.Context(), m, m.Last())
		e := take(t, m)
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1, 1)))
		stillWaits(t, wait)
		settle(t, e)
		returned(t, wait, nil)
	})
}

func TestBarrierPassesWhenOverflowDropsTheLastEntryInFrontOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newQueue(t, 2) // and it is full
		one, both := startWait(t.Context(), m, 1), startWait(t.Context(), m, 2)
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1, 2)))
		returned(t, one, nil)
		stillWaits(t, both)
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1, 3)))
		returned(t, both, nil)
	})
}

func TestBarrierBehindAnEntryInFlightOutlivesOverflowAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newQueue(t, 2)
		inFlight := take(t, m)
		wait := startWait(t.Context(), m, 2)
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(2, 2))) // drops the second
		stillWaits(t, wait)
		require.NoError(t, m.Close())
		stillWaits(t, wait)
		settle(t, inFlight)
		returned(t, wait, nil)
	})
}

func TestClosePassesBarriers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newQueue(t, 3)
		wait := startWait(t.Context(), m, 3)
		require.NoError(t, m.Close())
		returned(t, wait, nil)
	})
}

func TestCancelledWaitRemovesItsBarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newQueue(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancelled, other := startWait(ctx, m, 1), startWait(t.Context(), m, 1)
		require.Len(t, m.barriers, 2)
		cancel()
		returned(t, cancelled, context.Canceled)
		require.Len(t, m.barriers, 1, "the barrier of the other one stays")
		settle(t, take(t, m))
		returned(t, other, nil)
		assert.Empty(t, m.barriers)
	})
}

func TestWaitReturnsWhenItsDeadlinePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newQueue(t, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, m.Wait(ctx, 1), context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
		assert.Empty(t, m.barriers)
	})
}

func TestWaitThatIsPassedAndCancelledAtOnceReturnsNil(t *testing.T) {
	for range 20 { // select chooses at random
		synctest.Test(t, func(t *testing.T) {
			m := newQueue(t, 1)
			e := take(t, m)
			ctx, cancel := context.WithCancel(t.Context())
			wait := startWait(ctx, m, 1)
			m.mu.Lock() // both happen before Wait can look at either
			cancel()
			m.inFlight = nil
			m.end(e.(*entry), 1, 0)
			m.mu.Unlock()
			returned(t, wait, nil)
		})
	}
}

func TestNoBarrierStaysBehind(t *testing.T) {
	m := newQueue(t, 0)
	var waiting sync.WaitGroup
	for range 200 {
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1, 0)))
		ctx, cancel := context.WithCancel(t.Context())
		last := m.Last()
		waiting.Go(func() {
			if err := m.Wait(ctx, last); !errors.Is(err, context.Canceled) {
				assert.NoError(t, err)
			}
		})
		if rand.IntN(2) == 0 {
			waiting.Go(cancel)
			settle(t, take(t, m))
		} else {
			settle(t, take(t, m))
			waiting.Go(cancel)
		}
	}
	waiting.Wait()
	assert.Empty(t, m.barriers)
}
