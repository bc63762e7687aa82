package queuetest

import (
	"reflect"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var putClaims = []claim{{
	name:   "PutCopiesWhatItKeeps",
	demand: "Put copies what it keeps: rm may be reused once Put has returned.",
	bound:  roomy,
	test:   testPutCopies,
}, {
	name:   "EveryKindOfAggregationSurvives",
	demand: "Take hands out what Put accepted: all nine kinds of aggregation, with all that belongs to them.",
	bound:  roomy,
	test:   testEveryKind,
}, {
	name:   "EmptyCollectionsAreForgotten",
	demand: "A collection without data points is accepted and forgotten.",
	bound:  roomy,
	test:   testEmptyCollections,
}, {
	name:   "PutWithEndedContextQueuesNothing",
	demand: "If ctx ended first, Put returns its error and has queued nothing.",
	bound:  roomy,
	test:   testPutWithEndedContext,
}, {
	name: "PositionsGrow",
	demand: "Last returns the position of the newest collection accepted, 0 if there was none. " +
		"Positions grow from one accepted collection to the next.",
	bound: roomy,
	test:  testPositions,
}}

func testPutCopies(s *subject) {
	rm := metrictest.EveryKind(3)
	require.NoError(s.t, s.queue.Put(s.ctx, rm))
	scribble(reflect.ValueOf(rm).Elem())

	rm.ScopeMetrics = append(rm.ScopeMetrics[:0], metrictest.EveryKind(2).ScopeMetrics...)
	require.NoError(s.t, s.queue.Put(s.ctx, rm), "Put of a collection that has been put before and then changed")
	scribble(reflect.ValueOf(rm).Elem())

	s.takesEqual(metrictest.EveryKind(3), "what was put in, before the argument of Put was overwritten")
	s.takesEqual(metrictest.EveryKind(2), "what was put in with an argument that was used again")
}

// scribble overwrites all memory that v shares with its copies, but for what is
// immutable: the resource, attribute sets and strings.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		scribble(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				scribble(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
			v.Index(i).SetZero()
		}
	}
}

func testEveryKind(s *subject) {
	want := metrictest.EveryKind(4)
	require.NoError(s.t, s.queue.Put(s.ctx, metrictest.EveryKind(4)))
	assert.Equal(s.t, batch.Points(want), s.stats().Queued, "Queued after one collection was accepted")
	s.takesEqual(want, "a collection with every kind of aggregation")
}

// takesEqual requires that want is the next collection, and settles it.
func (s *subject) takesEqual(want *metricdata.ResourceMetrics, what string) {
	s.t.Helper()
	e := s.take()
	s.equal(want, e.Collection(), what)
	require.Equal(s.t, batch.Points(want), e.Points(), "Points of the entry")
	s.settle(e, e.Points(), 0)
}

// equal requires that a collection came out as it was put in.
func (s *subject) equal(put, taken *metricdata.ResourceMetrics, what string) {
	s.t.Helper()
	if s.Equal == nil {
		require.Equal(s.t, put, taken, what)
		return
	}
	require.Truef(s.t, s.Equal(put, taken), "%s\nput:   %+v\ntaken: %+v", what, put, taken)
}

func testEmptyCollections(s *subject) {
	empty := map[string]*metricdata.ResourceMetrics{
		"the zero value":      {},
		"an empty scope":      {ScopeMetrics: make([]metricdata.ScopeMetrics, 1)},
		"a metric of no kind": {ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: make([]metricdata.Metrics, 2)}}},
		"no data points":      metrictest.EveryKind(0),
	}
	put := func(when string) {
		for name, rm := range empty {
			s.unchanged("Put of a collection without data points: "+name+", "+when, func() {
				assert.NoErrorf(s.t, s.queue.Put(s.ctx, rm), "Put of a collection without data points: %s, %s", name, when)
			})
		}
	}
	put("into an empty queue")
	s.takeNothing(queue.ErrEmpty)
	s.put(3, 1)
	put("into a queue in which something waits")
	s.exports(1)
}

func testPutWithEndedContext(s *subject) {
	put := func() {
		s.unchanged("Put with an ended context", func() {
			err := s.queue.Put(ended(), metrictest.Numbers(3, -1))
			s.requireContextError(err, "Put with an ended context")
		})
	}
	put()
	s.takeNothing(queue.ErrEmpty)
	s.put(3, 1)
	put()
	s.exports(1)
}

func testPositions(s *subject) {
	require.Zero(s.t, s.queue.Stats().Last, "Last of a fresh queue")
	positions := make([]uint64, 5)
	var before uint64
	for i := range positions {
		s.put(1+i, int64(i))
		positions[i] = s.queue.Stats().Last
		require.Greater(s.t, positions[i], before, "Last after another collection was accepted")
		before = positions[i]
	}
	for i, want := range positions {
		e := s.take()
		require.Equalf(s.t, want, e.Position(), "Position of collection %d, against Last when it was the newest", i)
		s.settle(e, 0, e.Points())
	}
	require.Equal(s.t, before, s.queue.Stats().Last, "Last after everything has ended")
	s.put(1, 9)
	require.Greater(s.t, s.queue.Stats().Last, before, "positions are not used again")
}
