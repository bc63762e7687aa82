package queuetest

import (
	"errors"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var takeClaims = []claim{{
	name:   "EntriesComeInTheOrderOfAcceptance",
	demand: "Take hands out the oldest entry that waits.",
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
	name: "TakeHandsOutWhatIsWithinTheLimit",
	demand: "An entry beyond the limit stays where it is, and Take returns ErrDeclined. " +
		"When nothing waits, Take returns ErrEmpty or ErrClosed.",
	bound: roomy,
	test:  testLimit,
}, {
	name: "ReadySignalsThatAnEntryBeganToWait",
	demand: "Ready returns a channel with room for one signal, always the same. " +
		"It holds a signal after an entry began to wait.",
	bound: roomy,
	test:  testReady,
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

func testLimit(s *subject) {
	rm := metrictest.Numbers(1, 0)
	equal := resource.NewSchemaless(rm.Resource.Attributes()...) // equal, but not the same
	other := resource.NewSchemaless(attribute.String("service.name", "another"))
	beyond := map[string]queue.Limit{
		"fewer points":                       {MaxPoints: 2},
		"another resource":                   {Resource: other},
		"another schema":                     {Resource: resource.NewWithAttributes("https://example.org/schema", equal.Attributes()...)},
		"fewer points, of the same resource": {MaxPoints: 2, Resource: equal},
		"enough points, of another resource": {MaxPoints: 3, Resource: other},
	}
	within := []queue.Limit{
		{}, {MaxPoints: 3}, {MaxPoints: 4}, {Resource: rm.Resource}, {Resource: equal}, {MaxPoints: 3, Resource: equal},
	}
	refused := func(want error) {
		for name, limit := range beyond {
			entry, err := s.queue.Take(s.ctx, limit)
			require.ErrorIs(s.t, err, want, "Take with the limit: %s", name)
			require.Nil(s.t, entry, "an entry and an error from one Take")
		}
	}
	refused(queue.ErrEmpty)
	for i := range within {
		s.put(3, int64(i))
	}
	for i, limit := range within {
		s.unchanged("Take of an entry beyond the limit", func() { s.declined(beyond) })
		entry, err := s.queue.Take(s.ctx, limit)
		require.NoErrorf(s.t, err, "Take of an entry of 3 data points with the limit %+v", limit)
		require.Equal(s.t, int64(i), metrictest.Value(entry.Collection()))
		s.settle(entry, 3, 0)
	}
	s.queue.Seal()
	refused(queue.ErrClosed)
}

// declined requires that the next entry, which has to come, is beyond all of
// these limits.
func (s *subject) declined(beyond map[string]queue.Limit) {
	s.t.Helper()
	for name, limit := range beyond {
		entry, err := s.queue.Take(s.ctx, limit)
		for errors.Is(err, queue.ErrEmpty) {
			s.awaitReady()
			entry, err = s.queue.Take(s.ctx, limit)
		}
		require.ErrorIs(s.t, err, queue.ErrDeclined, "Take with the limit: %s", name)
		require.Nil(s.t, entry, "an entry and an error from one Take")
	}
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
