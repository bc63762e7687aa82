package queuetest

import (
	"context"
	"fmt"
	"sync/atomic"

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
	name:   "WaitIncludesItsPosition",
	demand: "Wait blocks until every collection accepted at a position up to and including the given one has ended.",
	bound:  roomy,
	test:   testWaitInclusive,
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
	name:   "WaitEndsWhenOverflowDropsTheLast",
	demand: "Wait blocks until every such collection has ended: delivered or dropped.",
	under:  []queue.Overflow{queue.DropOldest},
	bound:  tight,
	test:   testWaitForDropped,
}, {
	name: "WaitOutlastsOverflowBehindWhatIsInFlight",
	demand: "Wait blocks until every such collection has ended: delivered or dropped. " +
		"What is in flight has not ended.",
	under: []queue.Overflow{queue.DropOldest},
	bound: tight,
	test:  testWaitForDroppedBehindInFlight,
}}

// startWait calls Wait on another goroutine. It must not return before the
// caller has called mayReturn.
func (s *subject) startWait(position uint64) (result <-chan error, mayReturn func()) {
	var may atomic.Bool
	result = s.start(func() error {
		err := s.queue.Wait(s.ctx, position)
		if !may.Load() {
			return fmt.Errorf("the call of Wait returned %v while something at its position had not ended", err)
		}
		return err
	})
	s.lapse(position)
	return result, func() { may.Store(true) }
}

// lapse gives calls of Wait for this position the time to begin or, wrongly, to
// end. Nothing depends on whether it suffices.
func (s *subject) lapse(position uint64) {
	_ = s.queue.Wait(s.soon(), position)
}

// pending requires that Wait has something to wait for.
func (s *subject) pending(position uint64, when string) {
	s.t.Helper()
	s.requireContextError(s.queue.Wait(ended(), position), "Wait, with an ended context, "+when)
}

func testWait(s *subject) {
	s.put(2, 1)
	s.put(2, 2)
	last := s.queue.Stats().Last
	wait, mayReturn := s.startWait(last)

	s.pending(last, "while two collections wait")
	first := s.take()
	s.pending(last, "while one collection waits and one is in flight")
	second := s.take()
	s.pending(last, "while two collections are in flight")
	s.settle(second, 2, 0)
	s.pending(last, "while an older collection is in flight")
	s.lapse(last)
	mayReturn()
	s.settle(first, 0, 2)
	require.NoError(s.t, s.result("Wait", wait))
}

func testWaitInclusive(s *subject) {
	s.put(2, 1)
	s.put(2, 2)
	last := s.queue.Stats().Last
	wait, mayReturn := s.startWait(last)
	require.Equal(s.t, int64(1), s.export())
	s.lapse(last)
	second := s.take()
	mayReturn()
	s.settle(second, 0, 2)
	require.NoError(s.t, s.result("Wait", wait))
	require.NoError(s.t, s.queue.Wait(s.ctx, last), "Wait for what has ended")
}

func testWaitForNothing(s *subject) {
	for _, ctx := range []context.Context{s.ctx, ended()} {
		require.NoError(s.t, s.queue.Wait(ctx, s.queue.Stats().Last), "Wait where nothing has been accepted, or has ended")
		before := s.queue.Stats().Last
		s.put(1, 1)
		require.NoError(s.t, s.queue.Wait(ctx, before), "Wait for what was accepted before the one that waits")
		last := s.queue.Stats().Last
		s.exports(1)
		require.NoError(s.t, s.queue.Wait(ctx, last), "Wait for what has ended")
	}
}

func testWaitNotForLater(s *subject) {
	s.put(1, 1)
	barrier := s.queue.Stats().Last
	wait, mayReturn := s.startWait(barrier)
	s.put(1, 2)
	s.put(1, 3)
	mayReturn()
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
	last := s.queue.Stats().Last
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
		last := s.queue.Stats().Last
		for range 2 {
			waits = append(waits, s.start(func() error { return s.queue.Wait(s.ctx, last) }))
		}
	}
	s.lapse(s.queue.Stats().Last)
	for i := range n {
		s.export()
		require.NoError(s.t, s.result("Wait", waits[2*i]))
		require.NoError(s.t, s.result("Wait", waits[2*i+1]))
	}
}

func testWaitForDropped(s *subject) {
	s.put(chunk, -1)
	dropped := s.queue.Stats().Last
	wait, mayReturn := s.startWait(dropped)
	mayReturn()
	s.fill()
	require.NoError(s.t, s.result("Wait", wait), "Wait for what was dropped")
	require.NoError(s.t, s.queue.Wait(s.ctx, dropped), "Wait for what was dropped")
}

func testWaitForDroppedBehindInFlight(s *subject) {
	s.put(chunk, -2)
	inFlight := s.take()
	s.put(chunk, -1)
	dropped := s.queue.Stats().Last
	wait, mayReturn := s.startWait(dropped)
	s.fill()
	s.pending(dropped, "after the collection was dropped, but an older one is in flight")
	s.lapse(dropped)
	mayReturn()
	s.settle(inFlight, chunk, 0)
	require.NoError(s.t, s.result("Wait", wait), "Wait for what was dropped")
}
