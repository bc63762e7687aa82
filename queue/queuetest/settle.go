package queuetest

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var settleClaims = []claim{{
	name:   "SettleRefusesWrongNumbers",
	demand: "An outcome that does not account for all of its data points is an error and changes nothing.",
	bound:  roomy,
	test:   testSettleWrongly,
}, {
	name:   "SettleTwiceIsAnError",
	demand: "An entry ends with Settle or Return; a second call of either is an error and changes nothing.",
	bound:  roomy,
	test:   testSettleTwice,
}, {
	name:   "EntriesMayEndInAnyOrder",
	demand: "An entry belongs to the caller of Take. Settle ends it.",
	bound:  roomy,
	test:   testSettleInAnyOrder,
}, {
	name:   "TheCollectionIsValidUntilSettled",
	demand: "Collection returns the data. It is valid until Settle or Return is called.",
	bound:  roomy,
	test:   testCollectionStays,
}}

func testSettleWrongly(s *subject) {
	s.put(4, 1)
	e := s.take()
	for _, o := range []queue.Outcome{
		{}, {Exported: 3}, {Dropped: 3}, {Exported: 5}, {Exported: 4, Dropped: 1}, {Exported: 4, Dropped: 4},
		{Exported: 5, Dropped: -1}, {Exported: -1, Dropped: 5},
	} {
		s.unchanged("Settle with wrong numbers", func() {
			assert.Errorf(s.t, e.Settle(o), "Settle(%+v) of 4 data points", o)
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
	s.hasEnded(e, "settled")
	s.settle(other, 0, 4)
	s.hasEnded(other, "settled, too")
}

// hasEnded requires that an entry of four data points cannot end again.
func (s *subject) hasEnded(e queue.Entry, how string) {
	s.t.Helper()
	s.unchanged("Settle or Return of an entry that has ended", func() {
		assert.Error(s.t, e.Settle(queue.Outcome{Exported: 4}), "Settle of an entry that has been "+how)
		assert.Error(s.t, e.Settle(queue.Outcome{Dropped: 4}), "Settle of an entry that has been "+how)
		assert.Error(s.t, e.Return(), "Return of an entry that has been "+how)
	})
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
