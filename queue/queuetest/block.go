package queuetest

import (
	"context"
	"runtime"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var blockOnly = []queue.Overflow{queue.Block}

var blockClaims = []claim{{
	name:   "BlockWaitsUntilTakeMakesRoom",
	demand: "Block makes Put wait for room, until its context ends.",
	under:  blockOnly,
	bound:  tight,
	test:   testBlockWaits,
}, {
	name:   "BlockedPutReturnsTheErrorOfItsContext",
	demand: "On an error the queue is unchanged: the error of ctx when it ended while Put waited.",
	under:  blockOnly,
	bound:  tight,
	test:   testBlockCancelled,
}, {
	name: "BlockWithEndedContextDoesNotWaitForRoom",
	demand: "A context that has ended on entry does not refuse what need not wait; where it has, " +
		"Put does not wait for room. On an error the queue is unchanged.",
	under: blockOnly,
	bound: tight,
	test:  testBlockEnded,
}, {
	name:   "BlockedPutGivesUpItsPlaceWhenCancelled",
	demand: "Waiting calls get room in the order in which they came; one that has returned does not wait.",
	under:  blockOnly,
	bound:  tight,
	test:   testBlockedHeadCancelled,
}, {
	name:   "SealReleasesBlockedPuts",
	demand: "Calls of Put that wait for room return ErrClosed after Seal.",
	under:  blockOnly,
	bound:  tight,
	test:   func(s *subject) { testReleaseBlocked(s, func() { s.queue.Seal() }) },
}, {
	name:   "CloseReleasesBlockedPuts",
	demand: "Close seals the queue first; calls of Put that wait for room return ErrClosed.",
	under:  blockOnly,
	bound:  tight,
	test: func(s *subject) {
		testReleaseBlocked(s, func() { assert.NoError(s.t, s.queue.Close()) })
	},
}, {
	name:   "BlockedPutsGetRoomInTheOrderInWhichTheyCame",
	demand: "Waiting calls get room in the order in which they came, so a large collection is not overtaken by small ones.",
	under:  blockOnly,
	bound:  tight,
	test:   testBlockFIFO,
}, {
	name:   "OneTakeMakesRoomForSeveral",
	demand: "Block makes Put wait for room, not longer: the room that a large collection leaves is for several small ones.",
	under:  blockOnly,
	bound:  tight,
	test:   testBlockSeveral,
}, {
	name: "AHugeCollectionGetsInAmongSmallOnes",
	demand: "A large collection is not overtaken for ever by small ones. One that is larger than the whole bound " +
		"is accepted where nothing else waits.",
	under: blockOnly,
	bound: tight,
	test:  testBlockedHuge,
}}

func (s *subject) startPut(ctx context.Context, points int, value int64) <-chan error {
	return s.start(func() error { return s.queue.Put(ctx, metrictest.Numbers(points, value)) })
}

func testBlockWaits(s *subject) {
	next := s.fill()
	put := s.startPut(s.ctx, chunk, next)
	for v := range next {
		require.Equal(s.t, v, s.export())
	}
	require.NoError(s.t, s.result("Put", put), "Put, after Take made room")
	s.exports(next)
}

func testBlockCancelled(s *subject) {
	next := s.fill()
	ctx, cancel := context.WithCancel(s.ctx)
	// If this queue is not quite full, the collection may still have been
	// accepted before the call was cancelled.
	put := s.startPut(ctx, tight, next)
	cancel()
	if err := s.result("Put", put); err != nil {
		require.ErrorIs(s.t, err, context.Canceled, "Put")
		next--
	} else {
		require.False(s.t, s.exact, "Put into a full queue returned nil before anything was taken")
	}
	s.waits(0, next)
}

func testBlockEnded(s *subject) {
	next := s.fill()
	for range 3 {
		before := s.stats()
		err := s.result("Put with an ended context", s.startPut(ended(), tight, next))
		if !s.exact && err == nil {
			next++ // the queue was not quite full
			continue
		}
		require.True(s.t, isContextError(err), "Put into a full queue, with an ended context: %v", err)
		require.Equal(s.t, before, s.stats(), "Put returned the error of its context")
	}
	s.waits(0, next-1)
}

func testBlockedHeadCancelled(s *subject) {
	if !s.exact {
		s.t.Skip("needs a bound in data points")
	}
	next := s.fill()
	ctx, cancel := context.WithCancel(s.ctx)
	large := s.startPut(ctx, tight, -1)
	s.blocked(1)
	require.Equal(s.t, int64(0), s.export()) // makes room for a small one alone
	small := s.startPut(s.ctx, chunk, next)
	s.blocked(2)
	cancel()
	require.ErrorIs(s.t, s.result("Put", large), context.Canceled)
	require.NoError(s.t, s.result("Put", small), "Put, behind one that did not fit and was cancelled")
	s.waits(1, next)
}

// blocked waits until n calls of Put wait for room, if that can be seen.
func (s *subject) blocked(n int) {
	s.t.Helper()
	for s.Blocked != nil && s.Blocked(s.queue) != n {
		require.NoError(s.t, s.ctx.Err(), "calls of Put that wait for room: want %d, got %d", n, s.Blocked(s.queue))
		runtime.Gosched()
	}
}

func testReleaseBlocked(s *subject, release func()) {
	next := s.fill()
	puts := make([]<-chan error, 5)
	for i := range puts {
		puts[i] = s.startPut(s.ctx, tight+i, -1)
	}
	s.blocked(len(puts))
	release()
	accepted := int(next) * chunk
	for i, put := range puts {
		if err := s.result("Put", put); err != nil || s.exact {
			require.ErrorIs(s.t, err, queue.ErrClosed, "Put that waited for room")
			continue
		}
		accepted += tight + i // the queue was not quite full
	}
	require.Equal(s.t, uint64(accepted), s.stats().Accepted, "Accepted, after Put returned ErrClosed")
}

func testBlockFIFO(s *subject) {
	if s.Blocked == nil {
		s.t.Skip("needs Config.Blocked")
	}
	first, next := s.fillAndBlock()
	puts := []<-chan error{first}
	for _, points := range []int{tight, 1, huge, 1, chunk, 1, 1} {
		next++
		puts = append(puts, s.startPut(s.ctx, points, next))
		s.blocked(len(puts))
	}
	for v := range next + 1 {
		require.Equal(s.t, v, s.export(), "the collections in the order in which they were put in")
	}
	for _, put := range puts {
		require.NoError(s.t, s.result("Put", put))
	}
}

// fillAndBlock puts in collections with the values 0, 1, 2, until a call waits
// for room. It returns that one, and its value.
func (s *subject) fillAndBlock() (put <-chan error, value int64) {
	s.t.Helper()
	for value = s.fill(); ; value++ {
		put = s.startPut(s.ctx, chunk, value)
		for returned := false; !returned; runtime.Gosched() {
			if s.Blocked(s.queue) > 0 {
				return put, value
			}
			select {
			case err := <-put:
				require.NoError(s.t, err, "Put")
				returned = true // the queue was not quite full
			default:
			}
		}
	}
}

func testBlockSeveral(s *subject) {
	if !s.exact {
		s.t.Skip("needs a bound in data points")
	}
	s.fill()
	puts := make([]<-chan error, chunk)
	for i := range puts {
		puts[i] = s.startPut(s.ctx, 1, -1)
	}
	s.blocked(len(puts))
	require.Equal(s.t, int64(0), s.export())
	for _, put := range puts {
		require.NoError(s.t, s.result("Put, though there is room,", put))
	}
}

func testBlockedHuge(s *subject) {
	s.fill()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	const producers = 3
	stopped := make(chan error, producers)
	for range producers {
		go func() {
			for {
				if err := s.queue.Put(ctx, metrictest.Numbers(1, -2)); err != nil {
					stopped <- err
					return
				}
			}
		}()
	}
	large := s.startPut(s.ctx, huge, -1)
	for s.export() != -1 {
	}
	require.NoError(s.t, s.result("Put", large))
	cancel()
	for range producers {
		require.ErrorIs(s.t, <-stopped, context.Canceled)
	}
}
