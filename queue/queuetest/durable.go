package queuetest

import (
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var durableClaims = []claim{{
	name: "ADurableQueueKeepsWhatHasNotEnded",
	demand: "Where the queue is durable, what waits is kept for the next process, and so are entries in flight " +
		"that have not been settled, and what is returned after Close. It counts what it found when it was opened as accepted.",
	bound: roomy,
	test:  testReopen,
}, {
	name:   "ADurableQueueForgetsWhatHasEnded",
	demand: "A queue keeps collections until they are settled: exported or dropped.",
	bound:  roomy,
	test:   testReopenAfterEnd,
}}

// reopen closes the queue and goes on with what finds its content.
func (s *subject) reopen() {
	s.t.Helper()
	require.NoError(s.t, s.queue.Close())
	s.finish()
	s.settledDropped = 0
	s.observed = newObserved()
	s.queue = s.Reopen(s.t, s.queue)
	s.begin()
}

func (s *subject) requireReopen() {
	s.t.Helper()
	if !s.queue.Info().Durable || s.Reopen == nil {
		s.t.Skip("needs a durable queue and Config.Reopen")
	}
}

func testReopen(s *subject) {
	s.requireReopen()
	for i := range int64(4) {
		s.put(2, i)
	}
	require.Equal(s.t, int64(0), s.export())
	s.take() // in flight at Close
	late, returned := s.take(), s.take()
	require.NoError(s.t, s.queue.Close())
	s.settle(late, 2, 0)
	s.giveBack(returned)
	s.reopen()

	require.Equal(s.t, uint64(4), s.stats().Accepted, "what the queue found counts as accepted")
	require.Equal(s.t, 2, s.stats().Collections, "collections that the queue found")
	require.NotZero(s.t, s.stats().First, "First of what the queue found")
	s.put(2, 4)
	first := s.take()
	require.Equal(s.t, first.Position(), s.stats().First, "First, while the oldest of what was kept is in flight")
	s.equal(metrictest.Numbers(2, 1), first.Collection(), "the collection that was in flight at Close")
	last := s.queue.Stats().Last
	require.Less(s.t, first.Position(), last, "the position of what was kept, against that of what is new")
	s.settle(first, 2, 0)
	s.exports(3, 4)
	require.True(s.t, s.stats().Passed(last), "Passed of the newest")
}

func testReopenAfterEnd(s *subject) {
	s.requireReopen()
	s.put(2, 1)
	s.put(2, 2)
	require.Equal(s.t, int64(1), s.export())
	dropped := s.take()
	s.settle(dropped, 0, 2)
	s.reopen()
	s.counts(queue.Stats{}, "nothing was kept")
	s.takeNothing(queue.ErrEmpty)
}
