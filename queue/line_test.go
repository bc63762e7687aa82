package queue

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// BlockedPuts returns how many calls of Put wait for room.
func (m *Memory) BlockedPuts() int {
	m.lock()
	defer m.unlock()
	return m.blocked.Len()
}

// Waiting returns how many collections wait, and how many data points they
// have.
func (m *Memory) Waiting() (collections, points int) {
	m.lock()
	defer m.unlock()
	return m.waiting.Len(), m.waiting.Points()
}

// settleDown returns when the queue has nothing to do on its own account.
func (m *Memory) settleDown() {
	for {
		m.lock()
		working, done := m.room.working, m.room.done
		m.unlock()
		if !working {
			return
		}
		<-done
	}
}

func take(t testing.TB, m *Memory) Entry {
	t.Helper()
	e, err := m.Take(t.Context(), Limit{})
	require.NoError(t, err)
	return e
}

// settle settles an entry as exported.
func settle(t testing.TB, e Entry) {
	t.Helper()
	require.NoError(t, e.Settle(Outcome{Exported: e.Points()}))
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
	m, err := NewMemory(Bound{Points: 10}, Block)
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
	e, err := l.Take(l.t.Context(), Limit{})
	require.NoError(l.t, err)
	value := metrictest.Value(e.Collection())
	require.NoError(l.t, e.Settle(Outcome{Exported: e.Points()}))
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
