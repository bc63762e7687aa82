package queue_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/queue/queuetest"
)

func TestMemoryHonoursTheContract(t *testing.T) {
	queuetest.Run(t, queuetest.Config{
		New: func(t *testing.T, maxPoints int, overflow queue.Overflow) queue.Queue {
			m, err := queue.NewMemory(queue.Bound{Points: maxPoints}, overflow)
			require.NoError(t, err)
			return m
		},
		Blocked: func(q queue.Queue) int { return q.(*queue.Memory).BlockedPuts() },
	})
}

func TestNewMemoryRefusesWhatIsNotAllowed(t *testing.T) {
	for name, c := range map[string]struct {
		bound    queue.Bound
		overflow queue.Overflow
		want     []string
	}{
		"negative points": {queue.Bound{Points: -5}, queue.DropOldest, []string{"Bound.Points is -5", "at least 1, or 0 for no limit"}},
		"negative bytes":  {queue.Bound{Bytes: -7}, queue.DropOldest, []string{"Bound.Bytes is -7", "at least 1, or 0 for the default of 67108864"}},
		"both":            {queue.Bound{Points: -1, Bytes: -1}, queue.DropOldest, []string{"Bound.Points", "Bound.Bytes"}},
		"no policy":       {queue.Bound{}, 0, []string{"Overflow(0)"}},
		"no such policy":  {queue.Bound{Points: 1}, queue.Block + 1, []string{"unknown overflow policy"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := queue.NewMemory(c.bound, c.overflow)
			assert.Nil(t, m)
			require.Error(t, err)
			for _, want := range c.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

func TestOverflowPoliciesHaveNames(t *testing.T) {
	for o, name := range map[queue.Overflow]string{
		queue.DropOldest: "DropOldest", queue.DropNewest: "DropNewest", queue.Block: "Block",
	} {
		assert.True(t, o.Valid(), name)
		assert.Equal(t, name, o.String())
	}
	for o, name := range map[queue.Overflow]string{0: "Overflow(0)", -1: "Overflow(-1)", 99: "Overflow(99)"} {
		assert.False(t, o.Valid(), name)
		assert.Equal(t, name, o.String())
	}
}

// newMemory returns a queue that has not been started.
func newMemory(t testing.TB, maxPoints int, overflow queue.Overflow) *queue.Memory {
	t.Helper()
	m, err := queue.NewMemory(queue.Bound{Points: maxPoints}, overflow)
	require.NoError(t, err)
	return m
}

func TestMemoryWorksBeforeStart(t *testing.T) {
	m := newMemory(t, 1, queue.DropOldest)
	for range 2 {
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1, 0)))
	}
	require.NoError(t, m.Close())
	assert.Equal(t, queue.Stats{Accepted: 2, Dropped: 2, First: 1, Last: 2}, m.Stats())
}

func TestMemoryDoesNotOutliveItself(t *testing.T) {
	assert.False(t, newMemory(t, 1, queue.Block).Info().Durable)
}

func TestPutOfNilIsPutOfAnEmptyCollection(t *testing.T) {
	m := newMemory(t, 1, queue.Block)
	require.NoError(t, m.Put(t.Context(), nil))
	assert.Zero(t, m.Stats().Accepted)
}

func TestTimesAreThoseOfAcceptance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t, 3, queue.Block)
		start := time.Now()
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(2, 1)))
		blocked := make(chan error, 1)
		time.Sleep(time.Second)
		go func() { blocked <- m.Put(t.Context(), metrictest.Numbers(2, 2)) }()
		time.Sleep(time.Second)
		assert.Equal(t, start, m.Stats().Oldest, "Oldest while one waits")

		first, err := m.Take(t.Context(), queue.Limit{})
		require.NoError(t, err)
		assert.Equal(t, start, first.Accepted())
		assert.Equal(t, start, m.Stats().Oldest, "Oldest while it is in flight")
		require.NoError(t, <-blocked)
		require.NoError(t, first.Settle(queue.Outcome{Exported: 2}))
		assert.Equal(t, start.Add(2*time.Second), m.Stats().Oldest, "a blocked Put is accepted when it gets room")
	})
}

// What waits never exceeds the bound, but for a single collection that does so
// by itself.
func TestWaitingPointsNeverExceedTheBound(t *testing.T) {
	const bound = 50
	for _, overflow := range []queue.Overflow{queue.DropOldest, queue.DropNewest, queue.Block} {
		t.Run(overflow.String(), func(t *testing.T) {
			m := newMemory(t, bound, overflow)
			var putting, others sync.WaitGroup
			for range 4 {
				putting.Go(func() {
					for range 200 {
						_ = m.Put(t.Context(), metrictest.Numbers(1+rand.IntN(bound*5/4), 1))
					}
				})
			}
			stop := make(chan struct{})
			others.Go(func() { sampleBound(t, m, bound, stop) })
			others.Go(func() { exportAll(t, m) })
			putting.Wait()
			m.Seal()
			close(stop)
			others.Wait()
		})
	}
}

func sampleBound(t *testing.T, m *queue.Memory, bound int, stop <-chan struct{}) {
	for {
		collections, points := m.Waiting()
		if points > bound && collections > 1 {
			assert.Failf(t, "too much waits", "%d data points in %d collections, with a bound of %d", points, collections, bound)
			return
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// exportAll settles what comes, until the queue is closed.
func exportAll(t *testing.T, m *queue.Memory) {
	for {
		e, err := m.Take(t.Context(), queue.Limit{})
		switch err {
		case nil:
			assert.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
		case queue.ErrEmpty:
			<-m.Ready()
		default:
			assert.ErrorIs(t, err, queue.ErrClosed)
			return
		}
	}
}

func TestCloseReturnsWhenTheObserverHasHeardOfWhatItDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := queue.NewMemory(queue.Bound{Points: 1}, queue.DropOldest)
		require.NoError(t, err)
		open := make(chan struct{})
		var mu sync.Mutex
		var heard []queue.DropReason
		require.NoError(t, m.Start(queue.Observer{Failed: func(error) {}, Dropped: func(d queue.Drop) {
			if d.Reason == queue.ReasonOverflow {
				<-open // a hook that takes its time
			}
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, d.Reason)
		}}))
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1, 1)))
		put := make(chan error, 1)
		go func() { put <- m.Put(t.Context(), metrictest.Numbers(1, 2)) }()
		synctest.Wait()
		require.NoError(t, m.Close())
		mu.Lock()
		assert.Equal(t, []queue.DropReason{queue.ReasonShutdown}, heard, "while a Put tells of another drop")
		mu.Unlock()
		close(open)
		require.NoError(t, <-put)
	})
}
