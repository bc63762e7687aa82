package queuetest

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var overflowClaims = []claim{{
	name:   "DropOldestDropsTheOldestThatWait",
	demand: "DropOldest drops waiting collections, the oldest first, until there is room.",
	under:  []queue.Overflow{queue.DropOldest},
	bound:  tight,
	test:   testDropOldest,
}, {
	name:   "OverflowLeavesAloneWhatIsInFlight",
	demand: "The entry is in flight from Take on: overflow and the bound no longer concern it.",
	under:  []queue.Overflow{queue.DropOldest, queue.DropNewest},
	bound:  tight,
	test:   testOverflowInFlight,
}, {
	name:   "DropNewestRefusesTheNewest",
	demand: "DropNewest refuses the new collection with ErrFull, and counts it as dropped. Nothing has been queued.",
	under:  []queue.Overflow{queue.DropNewest},
	bound:  tight,
	test:   testDropNewest,
}, {
	name:   "OverflowEndsWhereTakeMakesRoom",
	demand: "The bound no longer concerns what is in flight: taking an entry makes room.",
	under:  []queue.Overflow{queue.DropNewest, queue.Block},
	bound:  tight,
	test:   testTakeMakesRoom,
}}

// fill puts in collections of chunk data points with the values 0, 1, 2, until
// one finds no room, and returns its value. What became of that one depends on
// the policy.
func (s *subject) fill() int64 {
	s.t.Helper()
	if stats := s.stats(); s.ExactBound {
		room := (tight - (stats.Queued - stats.InFlight)) / chunk
		for i := range room {
			s.put(chunk, int64(i))
		}
		require.Equal(s.t, stats.Dropped, s.stats().Dropped, "data points dropped while there was room")
		require.True(s.t, s.overflows(int64(room)), "the queue is full, but accepts more")
		return int64(room)
	}
	for i := range int64(50 * tight / chunk) {
		if i == 0 && s.stats().Queued == s.stats().InFlight {
			s.put(chunk, i) // has room
		} else if s.overflows(i) {
			return i
		}
	}
	require.FailNow(s.t, "the queue is never full", "stats: %+v", s.stats())
	return 0
}

// overflows puts in one more collection and reports whether it found no room.
func (s *subject) overflows(value int64) bool {
	s.t.Helper()
	ctx := s.ctx
	if s.overflow == queue.Block {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.impatience())
		defer cancel()
	}
	before := s.stats().Dropped
	err := s.queue.Put(ctx, metrictest.Numbers(chunk, value))
	switch s.overflow {
	case queue.Block:
		return errors.Is(err, context.DeadlineExceeded)
	case queue.DropNewest:
		if errors.Is(err, queue.ErrFull) {
			return true
		}
	}
	require.NoError(s.t, err, "Put")
	return s.stats().Dropped > before
}

// impatience is how long a Put may wait for room before the queue is taken to
// be full. If that is wrong, because the queue was only slow, it is less full
// than it could be, which does no harm.
func (s *subject) impatience() time.Duration {
	if s.ExactBound {
		return 20 * time.Millisecond // it is known to be full
	}
	return 200 * time.Millisecond
}

// waits requires that the collections with the values from to to wait.
func (s *subject) waits(from, to int64) {
	s.t.Helper()
	var want []int64
	for v := from; v <= to; v++ {
		want = append(want, v)
	}
	s.exports(want...)
}

// overflowed requires that so many data points were dropped because of
// overflow, and that the Observer knows.
func (s *subject) overflowed(points int) {
	s.t.Helper()
	require.Equal(s.t, uint64(points), s.stats().Dropped, "data points dropped")
	for _, d := range s.observed.await(s, points) {
		assert.Equal(s.t, queue.ReasonOverflow, d.Reason, "Reason of the drop")
		assert.ErrorIs(s.t, d.Err, queue.ErrFull, "Err of the drop")
	}
}

func testDropOldest(s *subject) {
	newest := s.fill()
	dropped := int64(s.stats().Dropped) / chunk
	if s.ExactBound {
		require.Equal(s.t, int64(1), dropped, "collections dropped to make room for one of the same size")
	}
	s.overflowed(int(dropped) * chunk)
	s.waits(dropped, newest)
}

func testOverflowInFlight(s *subject) {
	s.put(chunk, -1)
	e := s.take()
	s.fill()
	s.fill()
	require.Equal(s.t, chunk, s.stats().InFlight, "InFlight after overflow")
	s.equal(metrictest.Numbers(chunk, -1), e.Collection(), "the collection in flight, after overflow")
	s.settle(e, chunk, 0)
	require.Equal(s.t, uint64(chunk), s.stats().Exported, "data points exported")
}

func testDropNewest(s *subject) {
	refused := s.fill()
	last := s.queue.Stats().Last
	s.overflowed(chunk)
	require.Equal(s.t, uint64(refused+1)*chunk, s.stats().Accepted, "Accepted counts what DropNewest refused, too")

	require.ErrorIs(s.t, s.queue.Put(s.ctx, metrictest.Numbers(tight, -1)), queue.ErrFull, "Put into a full queue")
	s.overflowed(chunk + tight)
	require.Equal(s.t, last, s.queue.Stats().Last, "Last after Put was refused")
	s.waits(0, refused-1)
}

func testTakeMakesRoom(s *subject) {
	refused := s.fill()
	inFlight := make([]queue.Entry, refused)
	for i := range inFlight {
		inFlight[i] = s.take()
	}
	s.put(chunk, refused)
	s.put(chunk, refused+1)
	for _, e := range inFlight {
		s.settle(e, 0, chunk)
	}
	s.waits(refused, refused+1)
}
