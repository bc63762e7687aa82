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
	name: "PutWithEndedContextIsAcceptedWhereItNeedNotWait",
	demand: "A context that has ended on entry does not refuse what need not wait. " +
		"Where Put has to wait for a disk or a network, it waits Grace then. On an error the queue is unchanged.",
	bound: roomy,
	test:  testPutWithEndedContext,
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
	var want []int64
	for len(want) < 3 {
		require.NoError(s.t, s.ctx.Err(), "no Put with an ended context is accepted")
		value := int64(len(want))
		before := s.stats()
		err := s.queue.Put(ended(), metrictest.Numbers(3, value))
		if err == nil {
			want = append(want, value)
			continue
		}
		require.True(s.t, s.queue.Info().Durable, "Put, with an ended context, into a queue with room in memory: %v", err)
		if isContextError(err) {
			require.Equal(s.t, before, s.stats(), "Put returned the error of its context")
		}
	}
	s.exports(want...)
}
