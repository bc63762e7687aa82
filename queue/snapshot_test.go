package queue

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestStatsDoesNotWaitForTheLock(t *testing.T) {
	m := roomyQueue(t)
	require.NoError(t, m.Put(t.Context(), metrictest.Numbers(3, 1)))
	m.lock() // as a Put does while it copies or joins
	defer m.unlock()
	m.push(metrictest.Numbers(4, 1), sizeOf(metrictest.Numbers(4, 1)))
	stats := make(chan Stats, 1)
	go func() { stats <- m.Stats() }()
	select {
	case s := <-stats:
		assert.Equal(t, uint64(3), s.Accepted, "a Put that is under way shows when it is done")
	case <-time.After(time.Minute):
		require.Fail(t, "Stats waits for the lock")
	}
}

// What a signal or the return of a blocked Put announces, Stats shows.
func TestNothingIsAnnouncedBeforeStatsShowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(5, 2)
		<-l.Ready()
		l.lock()
		l.takeOff(l.waiting.Next())
		l.admit()
		synctest.Wait()
		assert.Empty(t, l.Ready(), "a signal before Stats shows what it is for")
		assert.Empty(t, l.result[2], "Put returns before Stats shows what it put in")
		l.unlock()
		l.returned(2, nil)
		assert.Len(t, l.Ready(), 1)
		assert.Equal(t, uint64(15), l.Stats().Accepted)
		settle(t, l.inFlight[0])
		l.exports(1, 2)
	})
}

func TestPutWithAnEndedContextUnderBlock(t *testing.T) {
	m, err := NewMemory(Bound{Points: 10}, Block)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, m.Put(ctx, metrictest.Numbers(10, 1)), "there is room")
	require.ErrorIs(t, m.Put(ctx, metrictest.Numbers(1, 2)), context.Canceled, "there is no room")
	assert.Equal(t, uint64(10), m.Stats().Accepted)
	assert.Zero(t, m.BlockedPuts())
}

// What a call has claimed it tells itself, and so has told when it returns.
func TestWhatIsClaimedNobodyElseTells(t *testing.T) {
	for name, with := range map[string]struct {
		claim func(m *Memory) func(sync.Locker) bool
		heard []DropReason
	}{
		"by Claim": {func(m *Memory) func(sync.Locker) bool {
			m.lock()
			defer m.unlock()
			m.notices.Dropped(Drop{Points: 1, Reason: ReasonCorrupt, Err: ErrClosed})
			return m.notices.Claim()
		}, []DropReason{ReasonCorrupt}},
		"by Close": {func(m *Memory) func(sync.Locker) bool {
			tell, _ := m.close()
			return tell
		}, []DropReason{ReasonShutdown}},
	} {
		t.Run(name, func(t *testing.T) {
			m := roomyQueue(t)
			var heard []DropReason
			require.NoError(t, m.Start(Observer{
				Dropped: func(d Drop) { heard = append(heard, d.Reason) },
				Failed:  func(error) {},
			}))
			require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1, 1)))
			tell := with.claim(m)
			m.tell() // as a Put does
			assert.Empty(t, heard, "another call tells, and may take its time")
			assert.True(t, tell((*locker)(m)))
			m.tell()
			assert.Equal(t, with.heard, heard, "once")
			require.NoError(t, m.Close())
		})
	}
}
