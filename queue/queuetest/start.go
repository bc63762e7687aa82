package queuetest

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var startClaims = []claim{{
	name:      "StartGivesTheQueueToOneUser",
	demand:    "Start gives the queue to its user. It returns ErrInUse if the queue has been started before.",
	bound:     roomy,
	unstarted: true,
	test:      testStartTwice,
}, {
	name:      "StartAfterCloseIsRefused",
	demand:    "Start returns ErrClosed if the queue is closed.",
	bound:     roomy,
	unstarted: true,
	test:      testStartAfterClose,
}, {
	name:      "PutWorksBeforeStart",
	demand:    "All other methods but Take work before Start.",
	bound:     roomy,
	unstarted: true,
	test:      testPutBeforeStart,
}, {
	name: "WhatWasDroppedBeforeStartIsObservedThen",
	demand: "The observer hears what the queue did before Start. " +
		"Until then First is at most the position of what was dropped.",
	under:     dropOldestOnly,
	bound:     tight,
	unstarted: true,
	test:      testDropsBeforeStart,
}, {
	name:      "SealAndCloseWorkBeforeStart",
	demand:    "All other methods but Take work before Start. Close drops what waits, or keeps it where the queue is durable.",
	bound:     roomy,
	unstarted: true,
	test:      testCloseBeforeStart,
}}

func (s *subject) begin() {
	s.t.Helper()
	require.NoError(s.t, s.queue.Start(s.observed.observer()), "Start")
}

func testStartTwice(s *subject) {
	s.begin()
	other := newObserved()
	for range 2 {
		require.ErrorIs(s.t, s.queue.Start(other.observer()), queue.ErrInUse, "Start of a queue that has been started")
	}
	s.put(2, 1)
	s.exports(1)
	s.put(3, 2)
	require.NoError(s.t, s.queue.Close()) // the first observer hears of the drop, see finish
	other.await(s, 0)
}

func testStartAfterClose(s *subject) {
	require.NoError(s.t, s.queue.Close())
	require.ErrorIs(s.t, s.queue.Start(newObserved().observer()), queue.ErrClosed, "Start after Close")
	require.ErrorIs(s.t, s.queue.Start(newObserved().observer()), queue.ErrClosed, "a second Start after Close")
}

func testPutBeforeStart(s *subject) {
	s.put(2, 1)
	s.put(3, 2)
	s.counts(queue.Stats{Accepted: 5, Queued: 5, Collections: 2}, "before Start")
	s.begin()
	s.counts(queue.Stats{Accepted: 5, Queued: 5, Collections: 2}, "after Start")
	s.exports(1, 2)
}

func testDropsBeforeStart(s *subject) {
	s.put(chunk, -1)
	position := s.stats().Last
	s.fillOver()
	stats := s.stats()
	require.Positive(s.t, stats.Dropped, "data points dropped")
	require.NotZero(s.t, stats.First, "First before Start, after a drop")
	require.LessOrEqual(s.t, stats.First, position, "First before Start, after a drop")
	s.begin()
	drops := s.observed.await(s, int(stats.Dropped))
	require.Equal(s.t, position, drops[0].Position, "Position of the first drop")
	for _, d := range drops {
		assert.Equal(s.t, queue.ReasonOverflow, d.Reason, "Reason of the drop")
	}
	s.passed(position)
}

func testCloseBeforeStart(s *subject) {
	s.put(2, 1)
	s.queue.Seal()
	require.ErrorIs(s.t, s.queue.Put(s.ctx, metrictest.Numbers(2, -1)), queue.ErrClosed, "Put after Seal, before Start")
	require.NoError(s.t, s.queue.Close())
	if s.queue.Info().Durable {
		s.counts(queue.Stats{Accepted: 2, Queued: 2, Collections: 1}, "a durable queue keeps what waits")
		return
	}
	s.counts(queue.Stats{Accepted: 2, Dropped: 2}, "what waits has been dropped")
}
