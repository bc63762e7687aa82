package queuetest

import (
	"errors"
	"math/rand/v2"
	"slices"
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
	demand: "To accept a collection and to seal the queue is one atomic decision: what Put accepted, Take hands out.",
	bound:  roomy,
	test:   testSealRace,
}, {
	name: "PositionsFollowTheOrderOfEachProducer",
	demand: "Positions grow from one accepted collection to the next. " +
		"Take hands out the oldest entry that waits.",
	bound: roomy,
	test:  testConcurrentOrder,
}}

func testConservation(s *subject) {
	var put, exported, dropped atomic.Int64 // data points
	var producing, others []<-chan error
	stop := make(chan struct{})
	for p := range producers {
		producing = append(producing, s.start(func() error { return s.produceAndClose(p == 0, &put) }))
	}
	for range 2 {
		others = append(others, s.start(func() error { return s.takeAtRandom(stop, &exported, &dropped) }))
	}
	others = append(others, s.start(func() error { return s.sample(stop) }))
	s.join("Put", producing)
	close(stop)
	s.join("Take or Stats", others)

	stats := s.stats()
	s.settledDropped = int(dropped.Load())
	assert.Equal(s.t, put.Load(), int64(stats.Accepted), "Accepted, against what was put in")
	assert.Equal(s.t, exported.Load(), int64(stats.Exported), "Exported, against what was settled")
	assert.Zero(s.t, stats.InFlight, "InFlight after all entries that were taken have been settled")
	if !s.queue.Info().Durable {
		assert.Zero(s.t, stats.Queued, "Queued after Close")
	}
}

// join waits for what several calls of start began.
func (s *subject) join(call string, results []<-chan error) {
	s.t.Helper()
	for _, result := range results {
		require.NoError(s.t, s.result(call, result))
	}
}

// produceAndClose puts in collections of random sizes and adds up what the
// queue accepts. One producer closes the queue meanwhile.
func (s *subject) produceAndClose(closes bool, put *atomic.Int64) error {
	look := s.look()
	for i := range perProducer {
		points := 1 + rand.IntN(2*chunk)
		err := s.queue.Put(s.ctx, metrictest.Numbers(points, int64(i)))
		switch {
		case err == nil:
			put.Add(int64(points))
		case !errors.Is(err, queue.ErrFull) && !errors.Is(err, queue.ErrClosed):
			return err
		}
		switch {
		case closes && i == perProducer*8/10:
			s.queue.Seal()
		case closes && i == perProducer*9/10:
			if err := s.queue.Close(); err != nil {
				return err
			}
		}
		if err := look(); err != nil {
			return err
		}
	}
	return nil
}

// takeAtRandom takes entries and settles or returns them at random, some while
// others are in flight, until the queue is closed or stop is.
func (s *subject) takeAtRandom(stop <-chan struct{}, exported, dropped *atomic.Int64) error {
	var inFlight []queue.Entry
	end := func() error {
		e := inFlight[0]
		inFlight = inFlight[1:]
		if rand.IntN(5) == 0 {
			return e.Return()
		}
		n, points := rand.IntN(e.Points()+1), e.Points()
		exported.Add(int64(n))
		dropped.Add(int64(points - n))
		return e.Settle(queue.Outcome{Exported: n, Dropped: points - n})
	}
	for {
		e, err := s.queue.Take(s.ctx, queue.Limit{})
		switch {
		case err == nil:
			inFlight = append(inFlight, e)
			if len(inFlight) <= rand.IntN(3) {
				continue
			}
			if err := end(); err != nil {
				return err
			}
			continue
		case errors.Is(err, queue.ErrEmpty):
			select {
			case <-s.queue.Ready():
				continue
			case <-stop:
			}
		case !errors.Is(err, queue.ErrClosed):
			return err
		}
		for len(inFlight) > 0 {
			if err := end(); err != nil {
				return err
			}
		}
		return nil
	}
}

// look returns a function that checks the stats of this moment.
func (s *subject) look() func() error {
	var before queue.Stats
	return func() error {
		stats := s.queue.Stats()
		err := errors.Join(inconsistency(stats), decrease(before, stats))
		before = stats
		return err
	}
}

// sample looks again and again.
func (s *subject) sample(stop <-chan struct{}) error {
	for look := s.look(); ; {
		if err := look(); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

// produce puts in collections of one data point, each producer its own values
// in ascending order, until the queue refuses. What it returns waits for that
// and returns what was accepted.
func (s *subject) produce() (accepted func() []int64) {
	var producing []<-chan error
	values := make([][]int64, producers)
	for p := range producers {
		producing = append(producing, s.start(func() error {
			for i := range perProducer {
				value := int64(p*perProducer + i)
				err := s.queue.Put(s.ctx, metrictest.Numbers(1, value))
				if errors.Is(err, queue.ErrClosed) {
					return nil
				}
				if err != nil {
					return err
				}
				values[p] = append(values[p], value)
			}
			return nil
		}))
	}
	return func() []int64 {
		s.t.Helper()
		s.join("Put", producing)
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
		e, err := s.queue.Take(s.ctx, queue.Limit{})
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
	s.counts(queue.Stats{Accepted: uint64(len(want)), Exported: uint64(len(want))}, "all have ended")
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
	require.Equal(s.t, position, s.queue.Stats().Last)
}
