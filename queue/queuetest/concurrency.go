package queuetest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

const (
	producers   = 4
	perProducer = 100
)

var concurrencyClaims = []claim{{
	name: "EveryDataPointIsAccountedForAtAnyInstant",
	demand: "At any instant Stats satisfies Accepted == Exported + Dropped + Coalesced + Queued. " +
		"The counters never decrease. All methods are safe for concurrent use.",
	bound: tight,
	test:  testConservation,
}, {
	name:   "WhatWasAcceptedIsHandedOutThoughSealRaces",
	demand: "Being accepted and the queue being sealed is one atomic decision: what Put accepted, Take will hand out.",
	bound:  roomy,
	test:   testSealRace,
}, {
	name: "PositionsFollowTheOrderOfEachProducer",
	demand: "Positions grow from one accepted collection to the next. " +
		"Take hands out the oldest entry that has not been handed out yet.",
	bound: roomy,
	test:  testConcurrentOrder,
}}

func testConservation(s *subject) {
	var (
		putting, taking, sampling sync.WaitGroup
		put, exported, dropped    atomic.Int64 // data points
		stop                      = make(chan struct{})
	)
	for p := range producers {
		putting.Go(func() {
			for i := range perProducer {
				points := 1 + rand.IntN(2*chunk)
				err := s.queue.Put(s.ctx, metrictest.Numbers(points, int64(i)))
				if err == nil || errors.Is(err, queue.ErrFull) {
					put.Add(int64(points))
				} else {
					assert.ErrorIs(s.t, err, queue.ErrClosed, "Put")
				}
				switch {
				case p == 0 && i == perProducer*8/10:
					s.queue.Seal()
				case p == 0 && i == perProducer*9/10:
					assert.NoError(s.t, s.queue.Close())
				}
			}
		})
	}
	for range 2 {
		taking.Go(func() { s.takeAtRandom(stop, &exported, &dropped) })
	}
	sampling.Go(func() { s.sample(stop) })
	s.join("producers", &putting)
	close(stop)
	s.join("takers", &taking)
	s.join("the sampler", &sampling)

	stats := s.stats()
	s.settledDropped = int(dropped.Load())
	assert.Equal(s.t, put.Load(), int64(stats.Accepted), "Accepted, against what was put in")
	assert.Equal(s.t, exported.Load(), int64(stats.Exported), "Exported, against what was settled")
	assert.Zero(s.t, stats.InFlight, "InFlight after all entries that were taken have been settled")
	if !s.queue.Durable() {
		assert.Zero(s.t, stats.Queued, "Queued after Close")
	}
}

// takeAtRandom takes entries and settles them at random, some while others are
// in flight, until the queue is closed or stop is.
func (s *subject) takeAtRandom(stop <-chan struct{}, exported, dropped *atomic.Int64) {
	var inFlight []queue.Entry
	settle := func() {
		e := inFlight[0]
		inFlight = inFlight[1:]
		n := rand.IntN(e.Points() + 1)
		exported.Add(int64(n))
		dropped.Add(int64(e.Points() - n))
		assert.NoError(s.t, e.Settle(n, e.Points()-n), "Settle")
	}
	defer func() {
		for len(inFlight) > 0 {
			settle()
		}
	}()
	for {
		e, err := s.queue.Take(s.ctx)
		switch {
		case err == nil:
			inFlight = append(inFlight, e)
			if len(inFlight) > rand.IntN(3) {
				settle()
			}
		case errors.Is(err, queue.ErrEmpty):
			select {
			case <-s.queue.Ready():
			case <-stop:
				return
			}
		default:
			assert.ErrorIs(s.t, err, queue.ErrClosed, "Take")
			return
		}
	}
}

// sample checks the stats again and again.
func (s *subject) sample(stop <-chan struct{}) {
	var before queue.Stats
	for {
		stats := s.queue.Stats()
		err := errors.Join(inconsistency(stats), decrease(before, stats))
		if !assert.NoError(s.t, err, "Stats while others use the queue") {
			return
		}
		before = stats
		select {
		case <-stop:
			return
		default:
		}
	}
}

func (s *subject) join(who string, group *sync.WaitGroup) {
	s.t.Helper()
	require.NoError(s.t, s.result(who, s.start(func() error { group.Wait(); return nil })))
}

// produce puts in collections of one data point, each producer its own values
// in ascending order, until the queue refuses. It returns what was accepted.
func (s *subject) produce() (accepted func() []int64) {
	var group sync.WaitGroup
	values := make([][]int64, producers)
	for p := range producers {
		group.Go(func() {
			for i := range perProducer {
				value := int64(p*perProducer + i)
				if err := s.queue.Put(s.ctx, metrictest.Numbers(1, value)); err != nil {
					assert.ErrorIs(s.t, err, queue.ErrClosed, "Put")
					return
				}
				values[p] = append(values[p], value)
			}
		})
	}
	return func() []int64 {
		s.t.Helper()
		s.join("producers", &group)
		return slices.Concat(values...)
	}
}

func testSealRace(s *subject) {
	accepted := s.produce()
	var taken []int64
	for range 1 + rand.IntN(perProducer) {
		taken = append(taken, s.export())
	}
	s.queue.Seal()
	for {
		e, err := s.queue.Take(s.ctx)
		if errors.Is(err, queue.ErrClosed) {
			break
		}
		if errors.Is(err, queue.ErrEmpty) {
			s.awaitReady()
			continue
		}
		require.NoError(s.t, err, "Take after Seal")
		taken = append(taken, metrictest.Value(e.Collection()))
		s.settle(e, 1, 0)
	}
	want := accepted()
	assert.ElementsMatch(s.t, want, taken, "what was accepted, against what was taken")
	assert.Equal(s.t, queue.Stats{Accepted: uint64(len(want)), Exported: uint64(len(want))}, s.stats())
	s.takeNothing(queue.ErrClosed)
}

func testConcurrentOrder(s *subject) {
	accepted := s.produce()
	newest := make([]int64, producers)
	var position uint64
	for range producers * perProducer {
		e := s.take()
		require.Greater(s.t, e.Position(), position, "Position, against that of the entry before")
		position = e.Position()
		value := metrictest.Value(e.Collection())
		p := value / perProducer
		require.GreaterOrEqual(s.t, value%perProducer, newest[p], "the collections of one producer are out of order")
		newest[p] = value%perProducer + 1
		s.settle(e, 1, 0)
	}
	require.Len(s.t, accepted(), producers*perProducer)
	require.Equal(s.t, position, s.queue.Last())
}
