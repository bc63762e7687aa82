package queuetest

import (
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var takeClaims = []claim{{
	name:   "EntriesComeInTheOrderOfAcceptance",
	demand: "Take hands out the oldest entry that has not been handed out yet.",
	bound:  roomy,
	test:   testOrder,
}, {
	name:   "TakeOfAnEmptyQueueReturnsErrEmpty",
	demand: "When nothing waits Take returns ErrEmpty; on any error nothing has been handed out.",
	bound:  roomy,
	test:   testErrEmpty,
}, {
	name: "TakeWithEndedContextLosesNothing",
	demand: "Take may wait, as long as ctx allows, for a disk or a network. " +
		"On any error nothing has been handed out.",
	bound: roomy,
	test:  testTakeWithEndedContext,
}, {
	name: "TakeHandsOutWhatIsWantedOnly",
	demand: "If want reports false of the collection, the entry stays where it is, and Take returns ErrDeclined. " +
		"Where nothing waits want is not asked.",
	bound: roomy,
	test:  testDeclined,
}, {
	name: "ReadySignalsThatAnEntryBeganToWait",
	demand: "Ready returns a channel with room for one signal, always the same. " +
		"It holds a signal after an entry began to wait.",
	bound: roomy,
	test:  testReady,
}, {
	name: "EntriesCountUntilTheyEnd",
	demand: "The entry is in flight from Take on: it still counts as queued. " +
		"Stats returns the counters and sizes of one instant.",
	bound: roomy,
	test:  testCounters,
}, {
	name: "OldestIsTheAgeOfWhatHasNotEnded",
	demand: "Oldest is when the oldest data that has not ended was accepted; zero if there is none. " +
		"Accepted returns when the collection was accepted.",
	bound: roomy,
	test:  testOldest,
}}

func testOrder(s *subject) {
	for i := range int64(5) {
		s.put(1+int(i), i)
	}
	require.Equal(s.t, int64(0), s.export())
	require.Equal(s.t, int64(1), s.export())
	s.put(2, 5)
	s.exports(2, 3, 4, 5)
}

func testErrEmpty(s *subject) {
	s.takeNothing(queue.ErrEmpty)
	s.put(2, 1)
	e := s.take()
	s.takeNothing(queue.ErrEmpty) // an entry in flight does not wait
	s.settle(e, 2, 0)
	s.takeNothing(queue.ErrEmpty)
}

func testTakeWithEndedContext(s *subject) {
	s.put(2, 1)
	s.put(2, 2)
	entry, err := s.queue.Take(ended(), queue.Limit{})
	if err == nil {
		s.settle(entry, 2, 0)
		s.exports(2)
		return
	}
	require.Nil(s.t, entry, "an entry and an error from one Take")
	assert.Zero(s.t, s.stats().InFlight, "InFlight after Take returned an error")
	s.exports(1, 2)
}

func testDeclined(s *subject) {
	var asked []int64
	take := func(answer bool) (queue.Entry, error) {
		return s.queue.Take(s.ctx, func(rm *metricdata.ResourceMetrics) bool {
			asked = append(asked, metrictest.Value(rm))
			return answer
		})
	}
	_, err := take(true)
	require.ErrorIs(s.t, err, queue.ErrEmpty)
	require.Empty(s.t, asked, "what want was asked about where nothing waits")

	s.put(2, 1)
	s.put(3, 2)
	entry, err := take(false)
	require.ErrorIs(s.t, err, queue.ErrDeclined)
	require.Nil(s.t, entry, "an entry and an error from one Take")
	assert.Zero(s.t, s.stats().InFlight, "InFlight after the entry was declined")
	entry, err = take(true)
	require.NoError(s.t, err)
	s.settle(entry, 2, 0)
	require.Equal(s.t, []int64{1, 1}, asked, "what want was asked about")
	s.exports(2)

	s.queue.Seal()
	_, err = take(true)
	require.ErrorIs(s.t, err, queue.ErrClosed)
	require.Len(s.t, asked, 2, "what want was asked about where nothing waits")
}

func testReady(s *subject) {
	ready := s.queue.Ready()
	assert.Equal(s.t, 1, cap(ready), "the capacity of the channel that Ready returns")
	for i := range int64(3) {
		s.takeNothing(queue.ErrEmpty)
		s.put(1, i)
		s.awaitReady()
		s.exports(i)
	}
	assert.Equal(s.t, ready, s.queue.Ready(), "Ready returns another channel")

	s.put(1, 3)
	s.put(1, 4) // does not wait for anyone to receive the signal
	s.awaitReady()
	s.exports(3, 4)
}

func testCounters(s *subject) {
	s.counts(queue.Stats{}, "a fresh queue")
	assert.GreaterOrEqual(s.t, s.stats().Capacity, 0, "Capacity")
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

// counts requires these stats, but for Oldest and Capacity.
func (s *subject) counts(want queue.Stats, when string) {
	s.t.Helper()
	got := s.stats()
	got.Oldest, got.Capacity = time.Time{}, 0
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
