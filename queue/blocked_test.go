package queue

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// BlockedPuts returns how many calls of Put wait for room.
func (m *Memory) BlockedPuts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blocked.Len()
}

// Waiting returns how many collections wait, and how many data points they
// have.
func (m *Memory) Waiting() (collections, points int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.waiting.Len() {
		points += m.waiting.At(i).Points()
	}
	return m.waiting.Len(), points
}

// A line is a full queue of ten data points with the policy Block, and calls of
// Put that wait in it. Call its methods in a bubble of synctest.
type line struct {
	*Memory
	t      *testing.T
	cancel map[int64]context.CancelFunc
	result map[int64]chan error
}

// newLine returns a queue in which two collections of five data points wait,
// with the values 0 and 1.
func newLine(t *testing.T) *line {
	m, err := NewMemory(10, Block)
	require.NoError(t, err)
	for i := range int64(2) {
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(5, i)))
	}
	return &line{m, t, map[int64]context.CancelFunc{}, map[int64]chan error{}}
}

// join has one more Put wait at the end of the line.
func (l *line) join(points int, value int64) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	result := make(chan error, 1)
	l.cancel[value], l.result[value] = cancel, result
	before := l.BlockedPuts()
	go func() { result <- l.Put(ctx, metrictest.Numbers(points, value)) }()
	synctest.Wait()
	require.Equal(l.t, before+1, l.BlockedPuts(), "Put of %d data points does not wait", points)
}

// export takes the next collection, settles it and returns its value.
func (l *line) export() int64 {
	l.t.Helper()
	e, err := l.Take(l.t.Context())
	require.NoError(l.t, err)
	value := metrictest.Value(e.Collection())
	require.NoError(l.t, e.Settle(e.Points(), 0))
	synctest.Wait()
	return value
}

func (l *line) exports(want ...int64) {
	l.t.Helper()
	for _, v := range want {
		require.Equal(l.t, v, l.export(), "the collection that came next")
	}
}

// returned requires that the Put of value has returned want.
func (l *line) returned(value int64, want error) {
	l.t.Helper()
	synctest.Wait()
	select {
	case err := <-l.result[value]:
		require.ErrorIs(l.t, err, want, "Put of the collection with the value %d", value)
	default:
		require.Fail(l.t, "Put still waits", "value %d", value)
	}
	l.cancel[value]()
}

func (l *line) waits(values ...int64) {
	l.t.Helper()
	synctest.Wait()
	for _, v := range values {
		require.Empty(l.t, l.result[v], "Put of the collection with the value %d has returned", v)
	}
	require.Equal(l.t, len(values), l.BlockedPuts(), "calls that wait")
}

func TestBlockedPutsGetRoomInTheOrderInWhichTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(8, 2)
		l.join(1, 3)
		l.join(5, 4)
		l.exports(0)
		l.waits(2, 3, 4) // a small one behind a large one does not overtake it
		l.exports(1)
		l.returned(2, nil)
		l.returned(3, nil)
		l.waits(4)
		l.exports(2)
		l.returned(4, nil)
		l.exports(3, 4)
	})
}

func TestPutDoesNotOvertakeThoseThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(8, 2)
		l.exports(0)
		l.join(1, 3) // would fit
		l.exports(1, 2, 3)
		l.returned(2, nil)
		l.returned(3, nil)
	})
}

func TestTakeLetsInAllThatFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		for v := range int64(6) {
			l.join(1, 2+v)
		}
		l.exports(0)
		for v := range int64(5) {
			l.returned(2+v, nil)
		}
		l.waits(7)
		l.exports(1)
		l.returned(7, nil)
	})
}

func TestCancelledPutLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(5, 2)
		l.join(5, 3)
		l.join(5, 4)
		l.cancel[3]()
		l.returned(3, context.Canceled)
		l.waits(2, 4)
		l.exports(0, 1, 2, 4)
		l.returned(2, nil)
		l.returned(4, nil)
		assert.Equal(t, uint64(20), l.Stats().Accepted, "what a cancelled Put brought does not count")
	})
}

// Trap 3: one that does not fit must not swallow the room for others.
func TestCancelledHeadLetsInThoseBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(9, 2)
		l.join(3, 3)
		l.join(2, 4)
		l.join(1, 5)
		l.exports(0)
		l.waits(2, 3, 4, 5)
		l.cancel[2]()
		l.returned(2, context.Canceled)
		l.returned(3, nil)
		l.returned(4, nil)
		l.waits(5)
		l.exports(1, 3, 4, 5)
		l.returned(5, nil)
	})
}

// Trap 2: many that are cancelled together must neither hang nor take the room
// of those that stay.
func TestCallsCancelledTogetherLoseNoWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		for v := range int64(20) {
			l.join(1+int(v)%7, 2+v)
		}
		for v := int64(2); v < 22; v++ {
			if v%3 != 0 {
				go l.cancel[v]()
			}
		}
		l.exports(0) // at the same time, as it were
		for v := int64(2); v < 22; v++ {
			if v%3 != 0 && errors.Is(<-l.result[v], context.Canceled) {
				delete(l.result, v)
			}
		}
		l.exports(1)
		for l.Stats().Queued > 0 {
			v := l.export()
			assert.Contains(t, l.result, v, "what a cancelled Put brought has been queued")
			delete(l.result, v)
		}
		assert.Empty(t, l.result, "Puts that were not cancelled and still wait")
		l.waits()
	})
}

func TestPutThatIsGrantedAndCancelledAtOnceIsInTheQueue(t *testing.T) {
	for range 20 { // select chooses at random
		synctest.Test(t, func(t *testing.T) {
			l := newLine(t)
			l.join(5, 2)
			l.mu.Lock() // both happen before Put can look at either
			l.cancel[2]()
			e, _ := l.waiting.Pop()
			l.stats.InFlight += e.Points()
			l.inFlight = append(l.inFlight, e)
			l.admit()
			l.mu.Unlock()
			l.returned(2, nil)
			l.exports(1, 2)
			require.NoError(t, e.Settle(5, 0))
		})
	}
}

func TestBlockedPutReturnsWhenItsDeadlinePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, l.Put(ctx, metrictest.Numbers(1, 2)), context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
		l.waits()
		assert.Equal(t, uint64(10), l.Stats().Accepted)
	})
}

func TestSealReleasesAllThatWait(t *testing.T) {
	for name, end := range map[string]func(*line) error{
		"Seal":  func(l *line) error { l.Seal(); return nil },
		"Close": func(l *line) error { return l.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t)
				l.join(20, 2)
				l.join(1, 3)
				l.join(5, 4)
				require.NoError(t, end(l))
				for _, v := range []int64{2, 3, 4} {
					l.returned(v, ErrClosed)
				}
				l.waits()
				assert.Equal(t, uint64(10), l.Stats().Accepted)
			})
		})
	}
}

func TestOversizeCollectionGetsInWhenNothingElseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(11, 2)
		l.join(1, 3)
		l.exports(0)
		l.waits(2, 3)
		l.exports(1)
		l.returned(2, nil)
		l.waits(3)
		l.exports(2, 3)
		l.returned(3, nil)
	})
}
