package queuetest

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var returnClaims = []claim{{
	name:   "AReturnedEntryWaitsAgain",
	demand: "Return gives the entry back: it waits again. Nothing else about it changes.",
	bound:  roomy,
	test:   testReturn,
}, {
	name:   "ReturnedEntriesWaitBeforeAllThatAreNewer",
	demand: "Return gives the entry back: it waits again, before all that are newer.",
	bound:  roomy,
	test:   testReturnInAnyOrder,
}, {
	name:   "ReadySignalsThatAnEntryWaitsAgain",
	demand: "Ready holds a signal after an entry began to wait.",
	bound:  roomy,
	test:   testReturnSignals,
}, {
	name:   "ReturnMayExceedTheBound",
	demand: "A returned entry waits again, even if the queue then exceeds its bound.",
	under:  []queue.Overflow{queue.DropOldest, queue.DropNewest, queue.Block},
	bound:  tight,
	test:   testReturnIntoAFullQueue,
}, {
	name:   "AReturnedEntryHasEnded",
	demand: "An entry ends with Settle or Return; a second call of either is an error and changes nothing.",
	bound:  roomy,
	test:   testReturnTwice,
}, {
	name:   "WhatIsReturnedAfterSealCanBeTaken",
	demand: "Seal makes Put refuse. What is queued stays and can be taken, and what is returned is queued.",
	bound:  roomy,
	test:   testReturnAfterSeal,
}, {
	name:   "WhatIsReturnedAfterCloseIsDroppedUnlessDurable",
	demand: "After Close a durable queue keeps what is returned, and any other drops it, with ReasonShutdown.",
	bound:  roomy,
	test:   testReturnAfterClose,
}}

func (s *subject) giveBack(e queue.Entry) {
	s.t.Helper()
	require.NoError(s.t, e.Return(), "Return of an entry in flight")
}

func testReturn(s *subject) {
	s.put(3, 1)
	s.put(4, 2)
	e := s.take()
	position, accepted := e.Position(), e.Accepted()
	s.giveBack(e)
	s.counts(queue.Stats{Accepted: 7, Queued: 7, Collections: 2}, "nothing is in flight any more")
	again := s.take()
	s.counts(queue.Stats{Accepted: 7, Queued: 7, InFlight: 3, Collections: 2}, "it is in flight again")
	require.Equal(s.t, position, again.Position(), "Position of an entry that was returned")
	s.within(accepted, accepted, again.Accepted(), "Accepted of an entry that was returned")
	require.Equal(s.t, 3, again.Points(), "Points of an entry that was returned")
	s.equal(metrictest.Numbers(3, 1), again.Collection(), "the collection of an entry that was returned")
	s.giveBack(again)
	s.exports(1, 2)
	s.counts(queue.Stats{Accepted: 7, Exported: 7}, "all have ended")
}

func testReturnInAnyOrder(s *subject) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}, {0, 2}, {1}} {
		s.putAll(5)
		entries := []queue.Entry{s.take(), s.take(), s.take()}
		var want []int64
		for i := range entries {
			returned := false
			for _, j := range order {
				returned = returned || i == j
			}
			if returned {
				want = append(want, int64(i))
			}
		}
		for _, i := range order {
			s.giveBack(entries[i])
			entries[i] = nil
		}
		s.exports(append(want, 3, 4)...)
		for _, e := range entries {
			if e != nil {
				s.settle(e, 2, 0)
			}
		}
	}
}

func testReturnSignals(s *subject) {
	s.put(2, 1)
	e := s.take()
	s.takeNothing(queue.ErrEmpty)
	s.drain()
	s.giveBack(e)
	s.awaitReady()
	s.exports(1)
}

func testReturnIntoAFullQueue(s *subject) {
	s.put(chunk, -1)
	e := s.take()
	next := s.fill()
	s.unchangedButInFlight(func() { s.giveBack(e) })
	oldest := int64(s.stats().Dropped) / chunk
	require.Equal(s.t, int64(-1), s.export())
	if s.overflow != queue.DropOldest {
		next-- // it found no room
	}
	s.waits(oldest, next)
}

// unchangedButInFlight requires that f makes what is in flight wait, and
// changes nothing else.
func (s *subject) unchangedButInFlight(f func()) {
	s.t.Helper()
	want := s.stats()
	f()
	got := s.stats()
	want.InFlight, want.Bytes = 0, got.Bytes // which those of the entry have become part of
	require.Equal(s.t, want, got, "Return into a full queue")
}

func testReturnTwice(s *subject) {
	s.put(4, 1)
	e := s.take()
	s.giveBack(e)
	s.hasEnded(e, "returned, and waits")
	again := s.take()
	s.hasEnded(e, "returned, and is in flight again")
	s.settle(again, 4, 0)
	s.hasEnded(e, "returned and settled")
	s.hasEnded(again, "settled")
}

func testReturnAfterSeal(s *subject) {
	s.put(2, 1)
	e := s.take()
	s.queue.Seal()
	s.drain()
	s.giveBack(e)
	s.awaitReady()
	s.exportsAll(queue.ErrClosed, 1)
}

func testReturnAfterClose(s *subject) {
	s.put(2, 1)
	s.put(3, 2)
	first, second := s.take(), s.take()
	positions := []uint64{first.Position(), second.Position()}
	require.NoError(s.t, s.queue.Close())
	s.giveBack(second)
	s.giveBack(first)
	s.takeNothing(queue.ErrClosed)
	if s.queue.Info().Durable {
		s.counts(queue.Stats{Accepted: 5, Queued: 5, Collections: 2}, "a durable queue keeps what is returned")
		s.observed.await(s, 0)
		return
	}
	s.counts(queue.Stats{Accepted: 5, Dropped: 5}, "what is returned has been dropped")
	var got []uint64
	for _, d := range s.observed.await(s, 5) {
		assert.Equal(s.t, queue.ReasonShutdown, d.Reason, "Reason of the drop")
		got = append(got, d.Position)
	}
	assert.ElementsMatch(s.t, positions, got, "Position of the drops")
}
