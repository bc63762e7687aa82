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
	under:  dropOldestOnly,
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
	demand: "DropNewest refuses the new collection with ErrFull. On an error the queue is unchanged: what Put refused is in no counter.",
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
	if stats := s.stats(); s.exact {
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
	if s.exact {
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

// overflowed requires that the given number of data points were dropped because
// of overflow, and that the Observer knows.
func (s *subject) overflowed(points int) {
	s.t.Helper()
	require.Equal(s.t, uint64(points), s.stats().Dropped, "data points dropped")
	for _, d := range s.observed.await(s, points) {
		assert.Equal(s.t, queue.ReasonOverflow, d.Reason, "Reason of the drop")
		assert.ErrorIs(s.t, d.Err, queue.ErrFull, "Err of the drop")
	}
}

func testDropOldest(s *subject) {
	s.put(chunk, 0)
	oldest := s.stats().Last
	s.exports(0)
	newest := s.fill() // its positions follow
	dropped := int64(s.stats().Dropped) / chunk
	if s.exact {
		require.Equal(s.t, int64(1), dropped, "collections dropped to make room for one of the same size")
	}
	s.overflowed(int(dropped) * chunk)
	e := s.take()
	require.Equal(s.t, dropped, metrictest.Value(e.Collection()), "the oldest collection that waits")
	for _, d := range s.observed.await(s, int(dropped)*chunk) {
		assert.Greater(s.t, d.Position, oldest, "Position of the drop, against that of what was exported before")
		assert.Less(s.t, d.Position, e.Position(), "Position of the drop, against that of what waits")
	}
	s.settle(e, chunk, 0)
	s.waits(dropped+1, newest)
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
	require.Equal(s.t, uint64(refused)*chunk, s.stats().Accepted, "Accepted, without what was refused")
	for _, ctx := range []context.Context{s.ctx, ended()} {
		s.unchanged("Put was refused", func() {
			require.ErrorIs(s.t, s.queue.Put(ctx, metrictest.Numbers(tight, -1)), queue.ErrFull, "Put into a full queue")
		})
	}
	s.overflowed(0)
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
