package queue

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/coalesce"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// A heldStep is a step that does not run before it may.
type heldStep struct {
	coalesce.Step
	running, proceed chan struct{}
}

func (s heldStep) Run(b coalesce.Buffers) {
	close(s.running)
	<-s.proceed
	s.Step.Run(b)
}

// A busyQueue is a queue that is joining collections, and does not get on with that
// before finish is called.
type busyQueue struct {
	*Memory
	finish func()
}

// newBusyQueue returns a queue of 30 points in which five collections of five
// points wait, with the values 1 to 5, while two of them are joined.
func newBusyQueue(t *testing.T) busyQueue {
	t.Helper()
	m, err := NewMemory(Bound{Points: 30}, Coalesce)
	require.NoError(t, err)
	m.lock()
	m.room.working, m.room.done = true, make(chan struct{}) // so Put leaves it to us
	m.unlock()
	for v := range int64(5) {
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(5, 1+v)))
	}
	m.maxPoints = 25 // what waits is more than the queue likes now
	held := hold(t, m)
	m.lock()
	m.maxPoints = 30
	m.unlock()
	q := busyQueue{m, sync.OnceFunc(func() { close(held.proceed) })}
	t.Cleanup(func() {
		q.finish()
		require.NoError(t, m.Close())
	})
	return q
}

// hold has the queue make room up to the first step that changes anything, and holds
// that one.
func hold(t *testing.T, m *Memory) heldStep {
	t.Helper()
	m.lock()
	defer m.unlock()
	step := m.nextStep()
	for step != nil && step.Bytes() == 0 { // those that find out what to join
		step.Run(looking{})
		step.Commit()
		step = m.nextStep()
	}
	require.NotNil(t, step)
	held := heldStep{step, make(chan struct{}), make(chan struct{})}
	go m.work(held)
	<-held.running
	return held
}

// looking are the buffers of a step that needs none.
type looking struct{ coalesce.Buffers }

// soon requires that f returns.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		require.FailNow(t, "waits for the queue to join collections", what)
	}
}

func TestNothingWaitsForJoining(t *testing.T) {
	q := newBusyQueue(t)
	var e, other Entry
	soon(t, "Stats", func() { assert.Equal(t, 25, q.Stats().Queued) })
	soon(t, "Take", func() { e, other = take(t, q.Memory), take(t, q.Memory) })
	soon(t, "Settle", func() { settle(t, e) })
	soon(t, "Return", func() { assert.NoError(t, other.Return()) })
	soon(t, "a Put that fits", func() { assert.NoError(t, q.Put(t.Context(), metrictest.Numbers(5, 6))) })
	soon(t, "Seal", q.Seal)
	soon(t, "Put after Seal", func() {
		assert.ErrorIs(t, q.Put(t.Context(), metrictest.Numbers(5, 7)), ErrClosed)
	})
	assert.Zero(t, q.Stats().Coalesced, "the join is still under way")
	q.finish()
	q.settleDown()
	assert.Equal(t, int64(5*(2+3+4+5+6)), drain(t, q.Memory), "what a Take overtook is not joined")
	s := q.Stats()
	assert.Equal(t, s.Accepted, s.Exported+s.Coalesced)
}

// What a join reads stays as it is until the join has ended, also when it has been
// settled.
func TestAJoinReadsNoBufferThatIsReused(t *testing.T) {
	q := newBusyQueue(t)
	for range 5 {
		settle(t, take(t, q.Memory))
	}
	q.lock()
	assert.Len(t, q.room.retired, 5)
	assert.Empty(t, q.free.buffers)
	q.unlock()
	for v := range int64(5) {
		require.NoError(t, q.Put(t.Context(), metrictest.Numbers(5, 10+v)))
	}
	q.finish()
	assert.Equal(t, int64(5*(10+11+12+13+14)), drain(t, q.Memory))
}

// Large collections, so Close comes in the middle.
func TestCloseEndsJoining(t *testing.T) {
	const points = 20_000
	rm := metrictest.Numbers(points, 1)
	for range 5 {
		m, err := NewMemory(Bound{Points: 4*points + points/2}, Coalesce)
		require.NoError(t, err)
		for range 4 {
			require.NoError(t, m.Put(t.Context(), rm))
		}
		m.lock()
		working := m.room.working
		m.unlock()
		soon(t, "Close", func() { assert.NoError(t, m.Close()) })
		assert.False(t, m.room.working, "the goroutine has ended (it ran: %t)", working)
		s := m.Stats()
		assert.Zero(t, s.Queued)
		assert.Equal(t, s.Accepted, s.Dropped+s.Coalesced)
	}
}

// Close waits for the goroutine, which is told to stop.
func TestCloseWaitsForTheGoroutineThatJoins(t *testing.T) {
	q := newBusyQueue(t)
	closed := make(chan error, 1)
	go func() { closed <- q.Close() }()
	for !q.room.stop.Load() {
		runtime.Gosched()
	}
	soon(t, "Stats", func() { q.Stats() })
	soon(t, "Put", func() { assert.ErrorIs(t, q.Put(t.Context(), metrictest.Numbers(1, 1)), ErrClosed) })
	assert.Empty(t, closed)
	q.finish()
	soon(t, "Close", func() { assert.NoError(t, <-closed) })
	assert.False(t, q.room.working)
	assert.Equal(t, uint64(25), q.Stats().Dropped, "a join that Close overtook changes nothing")
	assert.Zero(t, q.Stats().Coalesced)
	assert.Zero(t, q.Stats().Queued)
}

// blocked starts a Put of a collection for which there is no room.
func (q busyQueue) blocked(t *testing.T, ctx context.Context) <-chan error {
	t.Helper()
	before := q.BlockedPuts()
	result := make(chan error, 1)
	go func() { result <- q.Put(ctx, metrictest.Numbers(10, 100)) }()
	for q.BlockedPuts() == before {
		runtime.Gosched()
	}
	return result
}

func TestABlockedPutUnderCoalesceEndsWithItsContext(t *testing.T) {
	q := newBusyQueue(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := q.blocked(t, ctx), q.blocked(t, t.Context())
	cancel()
	soon(t, "Put", func() { assert.ErrorIs(t, <-first, context.Canceled) })
	assert.Empty(t, second)
	assert.Equal(t, uint64(25), q.Stats().Accepted)
	q.finish()
	soon(t, "Put", func() { assert.NoError(t, <-second, "the next one does not wait for ever") })
	assert.Equal(t, uint64(35), q.Stats().Accepted, "what a cancelled Put brought does not count")
	assert.Equal(t, int64(5*(1+2+3+4+5)+1000), drain(t, q.Memory))
}

// A Put that has been cancelled returns only when nothing reads what it brought any
// more.
func TestACancelledPutWaitsForTheJoinThatReadsItsCollection(t *testing.T) {
	for name, end := range map[string]func(*Memory, context.CancelFunc) error{
		"its context ends":    func(_ *Memory, cancel context.CancelFunc) error { cancel(); return context.Canceled },
		"the queue is sealed": func(m *Memory, _ context.CancelFunc) error { m.Seal(); return ErrClosed },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, err := NewMemory(Bound{Points: 10}, Coalesce)
				require.NoError(t, err)
				require.NoError(t, m.Put(t.Context(), metrictest.Numbers(10, 1)))
				m.settleDown()
				m.lock()
				m.room.working, m.room.done = true, make(chan struct{}) // so Put leaves it to us
				m.unlock()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				result := make(chan error, 1)
				go func() { result <- m.Put(ctx, metrictest.Numbers(10, 100)) }()
				synctest.Wait()
				held := hold(t, m)
				want := end(m, cancel)
				synctest.Wait()
				assert.Empty(t, result, "the join may still read the collection")
				close(held.proceed)
				require.ErrorIs(t, <-result, want)
				m.settleDown()
				assert.Equal(t, uint64(10), m.Stats().Accepted)
				assert.Equal(t, int64(10), drain(t, m))
			})
		})
	}
}

func TestSealEndsBlockedPutsUnderCoalesce(t *testing.T) {
	for name, end := range map[string]func(busyQueue){
		"Seal":  busyQueue.Seal,
		"Close": func(q busyQueue) { go q.Close() }, //nolint:errcheck // the cleanup looks at it
	} {
		t.Run(name, func(t *testing.T) {
			q := newBusyQueue(t)
			first, second := q.blocked(t, t.Context()), q.blocked(t, t.Context())
			end(q)
			for _, result := range []<-chan error{first, second} {
				soon(t, "Put", func() { assert.ErrorIs(t, <-result, ErrClosed) })
			}
			assert.Equal(t, uint64(25), q.Stats().Accepted)
			q.finish()
		})
	}
}

// The caller may change a collection as soon as Put has returned, also when it was
// to be joined at that moment. The race detector looks for readers.
func TestNothingReadsACollectionAfterPutHasReturned(t *testing.T) {
	const points = 500
	for name, end := range map[string]func(m *Memory, cancel context.CancelFunc){
		"its context ends":    func(_ *Memory, cancel context.CancelFunc) { cancel() },
		"the queue is sealed": func(m *Memory, _ context.CancelFunc) { m.Seal() },
		"the queue is closed": func(m *Memory, _ context.CancelFunc) { _ = m.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			failed := 0
			for i := range 200 {
				m, err := NewMemory(Bound{Points: points + points/2}, Coalesce)
				require.NoError(t, err)
				require.NoError(t, m.Put(t.Context(), metrictest.Numbers(points, 1)))
				ctx, cancel := context.WithCancel(t.Context())
				var returned atomic.Bool
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for m.BlockedPuts() == 0 && !returned.Load() {
						runtime.Gosched()
					}
					for range i % 20 { // later and later in the work
						m.BlockedPuts()
					}
					end(m, cancel)
				}()
				rm := metrictest.Numbers(points, 1)
				err = m.Put(ctx, rm)
				returned.Store(true)
				for _, metric := range rm.ScopeMetrics[0].Metrics {
					clear(metric.Data.(metricdata.Sum[int64]).DataPoints)
				}
				clear(rm.ScopeMetrics[0].Metrics)
				<-ended
				cancel()
				m.settleDown()
				want := uint64(2 * points)
				if err != nil {
					failed++
					want = points
				}
				require.Equal(t, want, m.Stats().Accepted)
				require.NoError(t, m.Close())
			}
			assert.Positive(t, failed, "how many Puts returned an error")
		})
	}
}

// The reader of the SDK hands over its last collection with a context that has
// ended. Joining takes no time in a bubble.
func TestPutWithAnEndedContextWaitsForJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, dropped := newCoalescing(t, 10)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 {
			require.NoError(t, m.Put(ended, metrictest.Numbers(10, 1)))
		}
		assert.Zero(t, *dropped)
		assert.Equal(t, int64(1000), drain(t, m))
	})
}

func TestPutWithAnEndedContextWaitsNoLongerThanGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBusyQueue(t)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		// Another call is first in line, so the step that is held is not for this one.
		first := make(chan error, 1)
		go func() { first <- q.Put(t.Context(), metrictest.Numbers(10, 100)) }()
		synctest.Wait()
		begin := time.Now()
		require.Error(t, q.Put(ended, metrictest.Numbers(10, 100)))
		assert.Equal(t, Grace, time.Since(begin))
		q.finish()
		require.NoError(t, <-first)
		q.settleDown()
	})
}
