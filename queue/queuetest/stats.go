package queuetest

import (
	"errors"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var statsClaims = []claim{{
	name: "EntriesCountUntilTheyEnd",
	demand: "The entry is in flight from Take on: it still counts as queued. " +
		"Stats returns the counters and sizes of one instant.",
	bound: roomy,
	test:  testCounters,
}, {
	name: "OldestIsTheAgeOfWhatHasNotEnded",
	demand: "Oldest is when the oldest data that is not settled was accepted; zero if there is none. " +
		"Accepted returns when the collection was accepted.",
	bound: roomy,
	test:  testOldest,
}, {
	name: "LastIsThePositionOfTheNewest",
	demand: "Last is the position of the newest collection accepted; zero if there was none. " +
		"Positions grow from one accepted collection to the next.",
	bound: roomy,
	test:  testLast,
}, {
	name:   "FirstIsThePositionOfTheOldestThatIsNotSettled",
	demand: "First is the position of the oldest collection that is not settled; zero if there is none.",
	bound:  roomy,
	test:   testFirst,
}, {
	name:   "FirstGoesBackToNothingThatHasPassed",
	demand: "First is the position of the oldest collection that is not settled. What is returned is not settled.",
	bound:  roomy,
	test:   testFirstAfterReturn,
}, {
	name:   "FirstOutlastsOverflowBehindWhatIsInFlight",
	demand: "First is the position of the oldest collection that is not settled. What is in flight is not settled.",
	under:  dropOldestOnly,
	bound:  tight,
	test:   testFirstBehindInFlight,
}, {
	name: "FirstMovesWhenTheObserverHasHeardOfTheDrop",
	demand: "First is the position of the oldest collection that is not settled, or whose drop the observer has not heard of yet. " +
		"Ready holds a signal after First moved for another reason than Settle.",
	under: dropOldestOnly,
	bound: tight,
	test:  testFirstAfterOverflow,
}, {
	name:   "StatsDoesNotWaitForAPutThatDrops",
	demand: "Stats does not wait for a Put that is under way.",
	under:  dropOldestOnly,
	bound:  tight,
	test:   testStatsDuringDrop,
}, {
	name:   "StatsDoesNotWaitForAPutThatWaits",
	demand: "Stats does not wait for a Put that is under way.",
	under:  blockOnly,
	bound:  tight,
	test:   testStatsDuringWait,
}, {
	name: "BytesAreThoseOfWhatWaits",
	demand: "Bytes is how many bytes count against MaxBytes: those of what waits. What is in flight is not among them. " +
		"It is zero if the queue does not know.",
	bound: roomy,
	test:  testBytes,
}, {
	name:   "BytesStayWithinTheBound",
	demand: "MaxBytes is how many bytes may wait. A collection that is larger is accepted where nothing else waits.",
	bound:  tight,
	test:   testBytesAreBounded,
}, {
	name:   "InfoDoesNotChange",
	demand: "Info returns what does not change in the life of the queue: its bound, what it does when full, whether it is durable.",
	bound:  tight,
	test:   testInfo,
}}

var dropOldestOnly = []queue.Overflow{queue.DropOldest}

func testCounters(s *subject) {
	s.counts(queue.Stats{}, "a fresh queue")
	s.put(3, 1)
	s.counts(queue.Stats{Accepted: 3, Queued: 3, Collections: 1}, "one collection waits")
	s.put(5, 2)
	s.counts(queue.Stats{Accepted: 8, Queued: 8, Collections: 2}, "two collections wait")
	first := s.take()
	s.counts(queue.Stats{Accepted: 8, Queued: 8, InFlight: 3, Collections: 2}, "one is in flight")
	second := s.take()
	s.counts(queue.Stats{Accepted: 8, Queued: 8, InFlight: 8, Collections: 2}, "both are in flight")
	s.settle(second, 4, 1)
	s.counts(queue.Stats{Accepted: 8, Exported: 4, Dropped: 1, Queued: 3, InFlight: 3, Collections: 1},
		"the second has ended before the first")
	s.settle(first, 0, 3)
	s.counts(queue.Stats{Accepted: 8, Exported: 4, Dropped: 4}, "both have ended")
}

// counts requires these stats, except for Bytes, Oldest, First and Last.
func (s *subject) counts(want queue.Stats, when string) {
	s.t.Helper()
	got := s.stats()
	got.Bytes, got.Oldest, got.First, got.Last = 0, time.Time{}, 0, 0
	require.Equal(s.t, want, got, when)
}

func testOldest(s *subject) {
	before := time.Now()
	s.put(1, 1)
	between := time.Now()
	s.put(1, 2)
	after := time.Now()

	s.within(before, between, s.stats().Oldest, "Oldest")
	first := s.take()
	s.within(before, between, first.Accepted(), "Accepted of the first entry")
	s.within(before, between, s.stats().Oldest, "Oldest while the first entry is in flight")
	second := s.take()
	s.within(between, after, second.Accepted(), "Accepted of the second entry")
	s.settle(first, 1, 0)
	s.within(between, after, s.stats().Oldest, "Oldest after the first entry has ended")
	s.settle(second, 1, 0)
	require.Zero(s.t, s.stats().Oldest, "Oldest where nothing is queued")
}

// within requires that t lies between two times. What a queue stores may be as
// coarse as a second.
func (s *subject) within(from, to, t time.Time, what string) {
	s.t.Helper()
	require.WithinRange(s.t, t, from.Add(-time.Second), to.Add(time.Second), what)
}

func testLast(s *subject) {
	require.Zero(s.t, s.stats().Last, "Last of a fresh queue")
	positions := make([]uint64, 5)
	var before uint64
	for i := range positions {
		s.put(1+i, int64(i))
		positions[i] = s.stats().Last
		require.Greater(s.t, positions[i], before, "Last after another collection was accepted")
		before = positions[i]
	}
	for i, want := range positions {
		e := s.take()
		require.Equalf(s.t, want, e.Position(), "Position of collection %d, against Last when it was the newest", i)
		s.settle(e, 0, e.Points())
	}
	require.Equal(s.t, before, s.stats().Last, "Last after everything has ended")
	s.put(1, 9)
	require.Greater(s.t, s.stats().Last, before, "positions are not used again")
}

// putAll puts in n collections of two data points with the values 0, 1, 2, and
// returns their positions.
func (s *subject) putAll(n int) []uint64 {
	s.t.Helper()
	positions := make([]uint64, n)
	for i := range positions {
		s.put(2, int64(i))
		positions[i] = s.stats().Last
	}
	return positions
}

func testFirst(s *subject) {
	first := func(want uint64, when string) {
		s.t.Helper()
		require.Equal(s.t, want, s.stats().First, "First "+when)
	}
	first(0, "of a fresh queue")
	p := s.putAll(4)
	first(p[0], "while four collections wait")
	a := s.take()
	first(p[0], "while the oldest is in flight")
	b, c := s.take(), s.take()
	s.settle(b, 2, 0)
	first(p[0], "after the second has ended before the first")
	require.False(s.t, s.stats().Passed(p[0]), "Passed of the first, which is in flight")
	s.settle(a, 0, 2)
	first(p[2], "after the first two have ended")
	require.True(s.t, s.stats().Passed(p[1]), "Passed of what has ended")
	require.False(s.t, s.stats().Passed(p[2]), "Passed of what is in flight")
	s.settle(c, 2, 0)
	first(p[3], "while the newest waits")
	require.Equal(s.t, int64(3), s.export())
	first(0, "after all have ended")
	require.True(s.t, s.stats().Passed(p[3]), "Passed after all have ended")
	s.put(2, 4)
	first(s.stats().Last, "of the only collection")
}

func testFirstAfterReturn(s *subject) {
	p := s.putAll(3)
	a, b := s.take(), s.take()
	require.NoError(s.t, a.Return())
	require.Equal(s.t, p[0], s.stats().First, "First, while the oldest waits again and the second is in flight")
	a = s.take()
	require.Equal(s.t, p[0], s.stats().First, "First, while the oldest is in flight again")
	require.NoError(s.t, b.Return())
	s.settle(a, 2, 0)
	require.Equal(s.t, p[1], s.stats().First, "First, while the second waits again")
	s.exports(1, 2)
}

// passed waits until First is beyond a position.
func (s *subject) passed(position uint64) {
	s.t.Helper()
	for !s.stats().Passed(position) {
		s.awaitReady()
	}
}

func testFirstBehindInFlight(s *subject) {
	s.put(chunk, -2)
	inFlight := s.take()
	s.put(chunk, -1)
	dropped := s.stats().Last
	s.fill()
	require.Positive(s.t, s.stats().Dropped)
	require.Equal(s.t, inFlight.Position(), s.stats().First, "First after a collection was dropped while an older one is in flight")
	s.settle(inFlight, chunk, 0)
	s.passed(dropped)
}

func testFirstAfterOverflow(s *subject) {
	put := s.holdObserver()
	before := s.stats()
	s.drain()
	put.release()
	require.NotZero(s.t, before.First, "First, while the Observer hears of the drop")
	require.LessOrEqual(s.t, before.First, put.drop.Position, "First, while the Observer hears of the drop")
	s.awaitReady()
	s.passed(put.drop.Position)
}

// A heldPut is a call of Put that made the queue drop something, while the
// Observer hears of it.
type heldPut struct {
	drop    queue.Drop
	release func() // lets the Observer return, and waits for the Put
}

// holdObserver puts in more than can wait, and returns when the Observer hears
// of the first drop.
func (s *subject) holdObserver() heldPut {
	s.t.Helper()
	heard, goOn := make(chan queue.Drop, 1), make(chan struct{})
	s.observed.onDrop(func(d queue.Drop) {
		select {
		case heard <- d:
			<-goOn
		default: // only the first
		}
	})
	fill := s.start(func() error { s.fillOver(); return nil })
	release := func() {
		close(goOn)
		require.NoError(s.t, s.result("Put", fill))
	}
	select {
	case d := <-heard:
		return heldPut{d, release}
	case <-s.ctx.Done():
		release()
		require.FailNow(s.t, "the Observer has not heard of a drop")
		return heldPut{}
	}
}

func testStatsDuringDrop(s *subject) {
	put := s.holdObserver()
	defer put.release()
	s.statsReturns("while the Observer hears of a drop")
}

func testStatsDuringWait(s *subject) {
	s.put(huge, 0)
	put := s.startPut(s.ctx, huge, 1)
	s.blocked(1)
	s.statsReturns("while a Put waits for room")
	s.exports(0, 1)
	require.NoError(s.t, s.result("Put", put))
}

func (s *subject) statsReturns(when string) {
	s.t.Helper()
	stats := s.start(func() error { return inconsistency(s.queue.Stats()) })
	require.NoError(s.t, s.result("Stats, "+when+",", stats))
}

func testBytes(s *subject) {
	var seen []int64 // after one collection, two, with one in flight, with two, and with one that was returned
	look := func() { seen = append(seen, s.stats().Bytes) }
	s.put(300, 1)
	look()
	s.put(500, 2)
	look()
	first := s.take()
	look()
	second := s.take()
	look()
	require.NoError(s.t, second.Return())
	look()
	if !s.queue.Info().CountsBytes {
		require.Equal(s.t, make([]int64, len(seen)), seen, "Bytes of a queue that does not know")
		return
	}
	require.Positive(s.t, seen[0], "Bytes while a collection waits")
	require.Greater(s.t, seen[1], seen[0], "Bytes while two collections wait, against those of one")
	require.Less(s.t, seen[2], seen[1], "Bytes with one of two in flight, against those of two that wait")
	require.Less(s.t, seen[3], seen[2], "Bytes with both in flight, against those of one that waits")
	require.Greater(s.t, seen[4], seen[3], "Bytes after one was returned, against those where nothing waits")
	s.settle(first, 300, 0)
	s.exports(2)
}

func testBytesAreBounded(s *subject) {
	info := s.queue.Info()
	if !info.CountsBytes || info.MaxBytes == 0 {
		s.t.Skip("the queue does not count bytes, or has no bound in bytes")
	}
	ctx := ended() // a Put that would have to wait for room fails
	for i := range int64(50) {
		err := s.queue.Put(ctx, metrictest.Numbers(chunk, i))
		if err != nil && !errors.Is(err, queue.ErrFull) && !isContextError(err) {
			require.NoError(s.t, err, "Put")
		}
		if stats := s.stats(); stats.Collections > 1 {
			require.LessOrEqual(s.t, stats.Bytes, info.MaxBytes, "Bytes while %d collections wait", stats.Collections)
		}
	}
}

func testInfo(s *subject) {
	info := s.queue.Info()
	assert.Equal(s.t, s.overflow, info.Overflow, "Overflow")
	assert.GreaterOrEqual(s.t, info.MaxPoints, 0, "MaxPoints")
	assert.GreaterOrEqual(s.t, info.MaxBytes, int64(0), "MaxBytes")
	assert.True(s.t, info.MaxPoints > 0 || info.MaxBytes > 0, "a queue that can be full has a bound: %+v", info)
	same := func(when string) {
		s.t.Helper()
		require.Equal(s.t, info, s.queue.Info(), "Info "+when)
	}
	s.put(3, 1)
	same("after Put")
	e := s.take()
	same("after Take")
	s.queue.Seal()
	same("after Seal")
	s.settle(e, 3, 0)
	require.NoError(s.t, s.queue.Close())
	same("after Close")
}
