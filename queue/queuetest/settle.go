package queuetest

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var settleClaims = []claim{{
	name:   "SettleRefusesWrongNumbers",
	demand: "Settle ends the entry: of its data points so many have been exported and dropped, all of them together.",
	bound:  roomy,
	test:   testSettleWrongly,
}, {
	name:   "SettleTwiceIsAnError",
	demand: "Every accepted data point has one end. An error means that the queue could not record the end.",
	bound:  roomy,
	test:   testSettleTwice,
}, {
	name:   "EntriesMayEndInAnyOrder",
	demand: "An entry belongs to whoever took it. Settle ends the entry.",
	bound:  roomy,
	test:   testSettleInAnyOrder,
}, {
	name:   "TheCollectionIsValidUntilSettled",
	demand: "Collection returns the data. It is valid until Settle is called.",
	bound:  roomy,
	test:   testCollectionStays,
}}

func testSettleWrongly(s *subject) {
	s.put(4, 1)
	e := s.take()
	for _, n := range [][2]int{{0, 0}, {3, 0}, {0, 3}, {5, 0}, {4, 1}, {4, 4}, {5, -1}, {-1, 5}} {
		s.unchanged("Settle with wrong numbers", func() {
			assert.Errorf(s.t, e.Settle(queue.Outcome{Exported: n[0], Dropped: n[1]}), "Settle(%d, %d) of 4 data points", n[0], n[1])
		})
	}
	s.settle(e, 3, 1)
	s.counts(queue.Stats{Accepted: 4, Exported: 3, Dropped: 1}, "settled after attempts with wrong numbers")
}

func testSettleTwice(s *subject) {
	s.put(4, 1)
	s.put(4, 2)
	e := s.take()
	s.settle(e, 4, 0)
	other := s.take()
	s.unchanged("Settle of an entry that has ended", func() {
		assert.Error(s.t, e.Settle(queue.Outcome{Exported: 4}), "Settle of an entry that has ended")
		assert.Error(s.t, e.Settle(queue.Outcome{Dropped: 4}), "Settle of an entry that has ended")
	})
	s.settle(other, 0, 4)
}

func testSettleInAnyOrder(s *subject) {
	entries := make([]queue.Entry, 4)
	for i := range entries {
		s.put(1+i, int64(i))
	}
	for i := range entries {
		entries[i] = s.take()
	}
	for _, i := range []int{2, 0, 3, 1} {
		s.settle(entries[i], entries[i].Points(), 0)
	}
	s.counts(queue.Stats{Accepted: 10, Exported: 10}, "all have ended")
}

func testCollectionStays(s *subject) {
	s.put(3, 1)
	s.put(3, 2)
	first, second := s.take(), s.take()
	s.settle(second, 3, 0)
	for i := range int64(5) { // memory of what has ended may be used again now
		s.put(3, 10+i)
		require.Equal(s.t, 10+i, s.export())
	}
	s.equal(metrictest.Numbers(3, 1), first.Collection(), "the collection of an entry in flight")
	s.settle(first, 3, 0)
}
