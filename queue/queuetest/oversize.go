package queuetest

import (
	"errors"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// huge is more data points than a tight queue has room for, whatever its bound
// is made of.
const huge = 50 * tight

var oversizeClaims = []claim{{
	name:   "AHugeCollectionIsAcceptedWhereNothingElseWaits",
	demand: "A collection that is larger than the whole bound is accepted where nothing else waits.",
	bound:  tight,
	test:   testHugeAlone,
}, {
	name: "WhatIsInFlightDoesNotHinderAHugeCollection",
	demand: "A collection that is larger than the whole bound is accepted where nothing else waits; " +
		"what is in flight does not wait.",
	bound: tight,
	test:  testHugeBehindInFlight,
}, {
	name: "AHugeCollectionNeverBothEvictsAndIsLost",
	demand: "On success rm is queued or, where the queue is full, the overflow policy has made room. " +
		"On an error the queue is unchanged.",
	under: []queue.Overflow{queue.DropOldest, queue.DropNewest},
	bound: tight,
	test:  testHugeOverflow,
}, {
	name:   "WhatFollowsAHugeCollectionObeysThePolicy",
	demand: "A collection that is larger than the whole bound is accepted where nothing else waits.",
	under:  []queue.Overflow{queue.DropOldest, queue.DropNewest},
	bound:  tight,
	test:   testAfterHuge,
}}

func testHugeAlone(s *subject) {
	for i := range int64(2) {
		s.put(huge, i)
		require.Equal(s.t, huge, s.stats().Queued, "Queued after a huge collection")
		s.exports(i)
	}
	s.put(1, 2)
	s.exports(2)
}

func testHugeBehindInFlight(s *subject) {
	s.put(huge, 1)
	first := s.take()
	s.put(huge, 2)
	second := s.take()
	s.put(huge, 3)
	s.settle(first, huge, 0)
	s.settle(second, 0, huge)
	s.exports(3)
}

func testHugeOverflow(s *subject) {
	s.put(chunk, 1)
	s.put(chunk, 2)
	err := s.queue.Put(s.ctx, metrictest.Numbers(huge, 3))
	if errors.Is(err, queue.ErrFull) {
		require.Equal(s.t, queue.DropNewest, s.overflow, "ErrFull is for DropNewest alone")
		s.overflowed(0)
		s.exports(1, 2)
		return
	}
	require.NoError(s.t, err, "Put of a huge collection")
	if s.exact {
		require.Equal(s.t, queue.DropOldest, s.overflow, "a full queue accepts a huge collection")
		s.overflowed(2 * chunk)
		s.exports(3)
		return
	}
	for value := int64(0); value != 3; {
		value = s.export()
	}
	s.takeNothing(queue.ErrEmpty)
}

func testAfterHuge(s *subject) {
	s.put(huge, 1)
	err := s.queue.Put(s.ctx, metrictest.Numbers(chunk, 2))
	if s.overflow == queue.DropOldest {
		require.NoError(s.t, err, "Put behind a huge collection")
		if s.exact {
			s.overflowed(huge)
		}
		for value := int64(0); value != 2; {
			value = s.export()
		}
		s.takeNothing(queue.ErrEmpty)
		return
	}
	if s.exact || err != nil {
		assert.ErrorIs(s.t, err, queue.ErrFull, "Put behind a huge collection")
		s.exports(1)
		return
	}
	s.exports(1, 2)
}
