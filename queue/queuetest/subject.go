package queuetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// patience is how long something that has to happen may take. No correct queue
// comes near; it only turns a hang into a failure. A queue that has hung once
// is given much less.
const (
	patience   = 30 * time.Second
	noPatience = 500 * time.Millisecond
)

// A subject is a queue under test. Its methods fail the test where the queue
// does what it never may.
type subject struct {
	kit
	t     *testing.T
	queue queue.Queue
	ctx   context.Context // ends when patience does

	observed       *observed
	settledDropped int // data points
}

func newSubject(t *testing.T, k kit, bound int) *subject {
	s := &subject{kit: k, t: t}
	ctx, cancel := context.WithTimeout(context.Background(), *k.patience)
	s.ctx = ctx
	s.observed = newObserved()
	s.queue = k.New(t, bound, k.overflow)
	t.Cleanup(cancel)
	t.Cleanup(s.close)
	return s
}

// close makes sure that the queue is closed, but does not hang with it.
func (s *subject) close() {
	if s.ctx.Err() != nil {
		*s.patience = noPatience
	}
	closed := s.start(s.queue.Close)
	select {
	case <-closed: // the claims about Close look at what it returns
	case <-time.After(*s.patience):
		s.t.Error("Close does not return")
	}
}

// finish checks what must hold at the end of every test.
func (s *subject) finish() {
	s.t.Helper()
	stats := s.stats()
	if s.observed.started.Load() {
		s.observed.await(s, int(stats.Dropped)-s.settledDropped)
	}
}

func (s *subject) put(points int, value int64) {
	s.t.Helper()
	require.NoErrorf(s.t, s.queue.Put(s.ctx, metrictest.Numbers(points, value)),
		"Put of %d data points, where nothing stands against it", points)
}

// take returns the next entry, which has to come.
func (s *subject) take() queue.Entry {
	s.t.Helper()
	for {
		entry, err := s.queue.Take(s.ctx, queue.Limit{})
		if err == nil {
			return entry
		}
		require.ErrorIs(s.t, err, queue.ErrEmpty, "Take, where an entry has to wait")
		require.Nil(s.t, entry, "an entry and an error from one Take")
		s.awaitReady()
	}
}

func (s *subject) awaitReady() {
	s.t.Helper()
	select {
	case <-s.queue.Ready():
	case <-s.ctx.Done():
		require.FailNow(s.t, "no signal from Ready", "stats: %+v", s.queue.Stats())
	}
}

// takeNothing requires that nothing waits, and that Take says so with want.
func (s *subject) takeNothing(want error) {
	s.t.Helper()
	entry, err := s.queue.Take(s.ctx, queue.Limit{})
	require.ErrorIs(s.t, err, want, "Take, where nothing waits")
	require.Nil(s.t, entry, "an entry and an error from one Take")
}

// drain takes the signal out of Ready, if there is one.
func (s *subject) drain() {
	select {
	case <-s.queue.Ready():
	default:
	}
}

func (s *subject) settle(e queue.Entry, exported, dropped int) {
	s.t.Helper()
	o := queue.Outcome{Exported: exported, Dropped: dropped}
	require.NoErrorf(s.t, e.Settle(o), "Settle(%+v)", o)
	s.settledDropped += dropped
}

// export takes the next entry, settles it as exported, and returns its value.
func (s *subject) export() int64 {
	s.t.Helper()
	e := s.take()
	value := metrictest.Value(e.Collection())
	s.settle(e, e.Points(), 0)
	return value
}

// exports requires that exactly these values wait, in this order.
func (s *subject) exports(want ...int64) {
	s.t.Helper()
	s.exportsAll(queue.ErrEmpty, want...)
}

// exportsAll requires that exactly these values wait, in this order, and that
// Take then returns an error.
func (s *subject) exportsAll(then error, want ...int64) {
	s.t.Helper()
	got := make([]int64, 0, len(want))
	for range want {
		got = append(got, s.export())
	}
	require.Equal(s.t, want, got, "the collections that waited")
	s.takeNothing(then)
}

// stats returns the stats after checking what they must always satisfy.
func (s *subject) stats() queue.Stats {
	s.t.Helper()
	stats := s.queue.Stats()
	require.NoError(s.t, inconsistency(stats))
	return stats
}

// start calls f on another goroutine.
func (s *subject) start(f func() error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- f() }()
	return result
}

// result waits for what start began.
func (s *subject) result(call string, result <-chan error) error {
	s.t.Helper()
	select {
	case err := <-result:
		return err
	case <-s.ctx.Done():
		require.FailNow(s.t, call+" does not return")
		return nil
	}
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// isContextError reports whether a call failed because its context ended.
func isContextError(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// unchanged requires that f changes nothing that the stats show. A queue may
// free memory that it kept for reuse at any time, so that Bytes may change.
func (s *subject) unchanged(msg string, f func()) {
	s.t.Helper()
	before := s.stats()
	f()
	after := s.stats()
	before.Bytes, after.Bytes = 0, 0
	assert.Equal(s.t, before, after, msg)
}
