package queuetest

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var sealClaims = []claim{{
	name:   "SealRefusesWhatIsNew",
	demand: "Seal makes Put refuse from now on with ErrClosed.",
	bound:  roomy,
	test:   testSealRefuses,
}, {
	name:   "SealKeepsWhatIsQueued",
	demand: "What is queued stays and can be taken after Seal. When nothing waits, Take returns ErrClosed then.",
	bound:  roomy,
	test:   testSealKeeps,
}, {
	name: "ReadySignalsThatTheQueueWasSealed",
	demand: "Ready holds a signal after Seal: a caller of Take that got ErrEmpty misses nothing " +
		"by receiving from it.",
	bound: roomy,
	test:  testSealSignals,
}}

func (s *subject) requireClosedPut() {
	s.t.Helper()
	s.unchanged("Put after Seal or Close", func() {
		require.ErrorIs(s.t, s.queue.Put(s.ctx, metrictest.Numbers(2, -1)), queue.ErrClosed, "Put after Seal or Close")
	})
}

func testSealRefuses(s *subject) {
	s.put(2, 1)
	s.unchanged("Seal", s.queue.Seal)
	s.requireClosedPut()
	s.unchanged("a second Seal", s.queue.Seal)
	s.requireClosedPut()
	require.Equal(s.t, int64(1), s.export())
	s.requireClosedPut()
}

func testSealKeeps(s *subject) {
	for i := range int64(3) {
		s.put(2, i)
	}
	e := s.take()
	s.queue.Seal()
	require.Equal(s.t, int64(1), s.export())
	require.Equal(s.t, int64(2), s.export())
	s.takeNothing(queue.ErrClosed) // though what is in flight may be returned
	s.settle(e, 2, 0)
	s.takeNothing(queue.ErrClosed)
	s.counts(queue.Stats{Accepted: 6, Exported: 6}, "all have ended")
}

func testSealSignals(s *subject) {
	s.takeNothing(queue.ErrEmpty)
	s.queue.Seal()
	s.awaitReady()
	s.takeNothing(queue.ErrClosed)
}

var closeClaims = []claim{{
	name: "CloseDropsWhatWaitsUnlessDurable",
	demand: "What waits is dropped at Close, with reason shutdown, or, where the queue is durable, " +
		"kept for the next process.",
	bound: roomy,
	test:  testCloseDrops,
}, {
	name:   "CloseEndsTheQueue",
	demand: "Close ends the queue for good; it seals it first where that has not been done.",
	bound:  roomy,
	test:   testCloseEnds,
}, {
	name:   "EntriesInFlightCanBeSettledAfterClose",
	demand: "Entries in flight can still be settled after Close.",
	bound:  roomy,
	test:   testSettleAfterClose,
}, {
	name:   "FurtherClosesHaveNoEffect",
	demand: "Further calls of Close have no effect and return nil.",
	bound:  roomy,
	test:   testCloseAgain,
}}

func testCloseDrops(s *subject) {
	s.put(2, 1)
	e := s.take()
	s.put(3, 2)
	oldest := s.stats().Last
	s.put(4, 3)
	require.NoError(s.t, s.queue.Close())
	if s.queue.Info().Durable {
		s.counts(queue.Stats{Accepted: 9, Queued: 9, InFlight: 2, Collections: 3}, "a durable queue keeps what waits")
		s.observed.await(s, 0)
	} else {
		s.counts(queue.Stats{Accepted: 9, Dropped: 7, Queued: 2, InFlight: 2, Collections: 1}, "what waits has been dropped")
		drops := s.observed.await(s, 7)
		assert.Equal(s.t, oldest, drops[0].Position, "Position of the drop")
		for _, d := range drops {
			assert.Equal(s.t, queue.ReasonShutdown, d.Reason, "Reason of the drop")
		}
	}
	s.settle(e, 2, 0)
}

func testCloseEnds(s *subject) {
	s.takeNothing(queue.ErrEmpty)
	require.NoError(s.t, s.queue.Close())
	s.awaitReady()
	s.takeNothing(queue.ErrClosed)
	s.requireClosedPut()
	s.unchanged("Seal after Close", s.queue.Seal)
	s.takeNothing(queue.ErrClosed)
}

func testSettleAfterClose(s *subject) {
	s.put(2, 1)
	s.put(3, 2)
	first, second := s.take(), s.take()
	require.NoError(s.t, s.queue.Close())
	s.counts(queue.Stats{Accepted: 5, Queued: 5, InFlight: 5, Collections: 2}, "Close leaves what is in flight alone")
	s.takeNothing(queue.ErrClosed)
	s.equal(metrictest.Numbers(3, 2), second.Collection(), "the collection of an entry in flight, after Close")
	s.settle(second, 3, 0)
	s.settle(first, 1, 1)
	s.counts(queue.Stats{Accepted: 5, Exported: 4, Dropped: 1}, "settled after Close")
}

func testCloseAgain(s *subject) {
	s.put(2, 1)
	s.put(3, 2)
	e := s.take()
	s.queue.Seal()
	require.NoError(s.t, s.queue.Close())
	s.unchanged("a second Close", func() {
		assert.NoError(s.t, s.queue.Close(), "a second Close")
	})
	s.settle(e, 2, 0)
	assert.NoError(s.t, s.queue.Close(), "a third Close")
}
