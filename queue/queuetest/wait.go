package queuetest

import (
	"context"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/queue"
)

var waitClaims = []claim{{
	name:   "WaitReturnsWhenEverythingUpToThePositionHasEnded",
	demand: "Wait blocks until every collection accepted at a position up to and including the given one has ended.",
	bound:  roomy,
	test:   testWait,
}, {
	name: "WaitReturnsAtOnceWhereNothingIsLeft",
	demand: "Wait blocks until every collection accepted at a position up to and including the given one has ended. " +
		"If they have ended already, it returns nil also when ctx has.",
	bound: roomy,
	test:  testWaitForNothing,
}, {
	name: "WaitDoesNotWaitForLaterCollections",
	demand: "Wait blocks until every collection accepted at a position up to and including the given one has ended, " +
		"not longer.",
	bound: roomy,
	test:  testWaitNotForLater,
}, {
	name:   "WaitReturnsTheErrorOfItsContext",
	demand: "Wait blocks until every such collection has ended, or returns the error of ctx.",
	bound:  roomy,
	test:   testWaitCancelled,
}, {
	name:   "ManyWaitAtOnce",
	demand: "All methods are safe for concurrent use. Wait blocks until every such collection has ended.",
	bound:  roomy,
	test:   testWaits,
}, {
	name: "WaitEndsWhenOverflowDropsTheLast",
	demand: "Wait blocks until every such collection has ended: delivered or dropped. " +
		"Whatever is in flight has not ended.",
	under: []queue.Overflow{queue.DropOldest},
	bound: tight,
	test:  testWaitForDropped,
}}

// startWait calls Wait on another goroutine.
func (s *subject) startWait(position uint64) <-chan error {
	return s.start(func() error { return s.queue.Wait(s.ctx, position) })
}

// pending requires that Wait has something to wait for.
func (s *subject) pending(position uint64, when string) {
	s.t.Helper()
	s.requireContextError(s.queue.Wait(ended(), position), "Wait, with an ended context, "+when)
}

func testWait(s *subject) {
	s.put(2, 1)
	s.put(2, 2)
	last := s.queue.Last()
	wait := s.startWait(last)

	s.pending(last, "while two collections wait")
	first := s.take()
	s.pending(last, "while one collection waits and one is in flight")
	second := s.take()
	s.pending(last, "while two collections are in flight")
	s.settle(second, 2, 0)
	s.pending(last, "while an older collection is in flight")
	s.settle(first, 0, 2)
	require.NoError(s.t, s.result("Wait", wait))
	require.NoError(s.t, s.queue.Wait(s.ctx, last), "Wait for what has ended")
}

func testWaitForNothing(s *subject) {
	for _, ctx := range []context.Context{s.ctx, ended()} {
		require.NoError(s.t, s.queue.Wait(ctx, s.queue.Last()), "Wait where nothing has been accepted, or has ended")
		before := s.queue.Last()
		s.put(1, 1)
		require.NoError(s.t, s.queue.Wait(ctx, before), "Wait for what was accepted before the one that waits")
		last := s.queue.Last()
		s.exports(1)
		require.NoError(s.t, s.queue.Wait(ctx, last), "Wait for what has ended")
	}
}

func testWaitNotForLater(s *subject) {
	s.put(1, 1)
	barrier := s.queue.Last()
	wait := s.startWait(barrier)
	s.put(1, 2)
	s.put(1, 3)
	require.Equal(s.t, int64(1), s.export())
	second := s.take()
	require.NoError(s.t, s.result("Wait", wait), "Wait, while later collections wait and are in flight")
	require.NoError(s.t, s.queue.Wait(s.ctx, barrier))
	s.pending(second.Position(), "for the collection behind the one that has ended")
	s.settle(second, 1, 0)
	s.exports(3)
}

func testWaitCancelled(s *subject) {
	s.put(1, 1)
	last := s.queue.Last()
	s.requireContextError(s.queue.Wait(s.soon(), last), "Wait, with a context that ends while nothing does")

	ctx, cancel := context.WithCancel(s.ctx)
	wait := s.start(func() error { return s.queue.Wait(ctx, last) })
	s.unchanged("a Wait that is cancelled", cancel)
	assert.ErrorIs(s.t, s.result("Wait", wait), context.Canceled)
	s.exports(1)
	require.NoError(s.t, s.queue.Wait(s.ctx, last), "Wait after another one for the same position was cancelled")
}

func testWaits(s *subject) {
	const n = 20
	waits := make([]<-chan error, 0, 2*n)
	for i := range n {
		s.put(1, int64(i))
		waits = append(waits, s.startWait(s.queue.Last()), s.startWait(s.queue.Last()))
	}
	for i := range n {
		s.export()
		require.NoError(s.t, s.result("Wait", waits[2*i]))
		require.NoError(s.t, s.result("Wait", waits[2*i+1]))
	}
}

func testWaitForDropped(s *subject) {
	s.put(chunk, -2)
	inFlight := s.take()
	s.put(chunk, -1)
	dropped := s.queue.Last()
	wait := s.startWait(dropped)
	s.fill()
	s.pending(dropped, "after the collection was dropped, but an older one is in flight")
	s.settle(inFlight, chunk, 0)
	require.NoError(s.t, s.result("Wait", wait), "Wait for what was dropped")
	require.NoError(s.t, s.queue.Wait(s.ctx, dropped), "Wait for what was dropped")
}
