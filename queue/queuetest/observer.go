package queuetest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

const unlocked = "A queue calls the functions of its Observer without holding a lock."

var observerClaims = []claim{{
	name:   "OverflowIsObservedWithoutALock",
	demand: unlocked,
	under:  dropOldestOnly,
	bound:  tight,
	test:   testObserverOnOverflow,
}, {
	name:   "CloseIsObservedWithoutALock",
	demand: unlocked,
	bound:  roomy,
	test:   testObserverOnClose,
}, {
	name:   "WhatIsSettledAsDroppedIsNotObserved",
	demand: "An Observer hears what a queue does on its own account. The caller of Settle knows what it drops.",
	bound:  roomy,
	test:   testSettledDropIsNotObserved,
}}

// useAll calls the methods that an observer may call.
func (s *subject) useAll() error {
	s.queue.Stats()
	s.queue.Ready()
	s.queue.Info()
	if err := s.queue.Start(s.observed.observer()); !errors.Is(err, queue.ErrInUse) {
		return fmt.Errorf("the error of Start is %w", err)
	}
	return s.queue.Put(s.ctx, metrictest.Numbers(1, -1))
}

func testObserverOnOverflow(s *subject) {
	var called atomic.Bool
	result := make(chan error, 1)
	s.observed.onDrop(func(queue.Drop) {
		if called.CompareAndSwap(false, true) { // the Put in it may make another drop
			result <- s.useAll()
		}
	})
	fill := s.start(func() error { s.fillOver(); return nil })
	err := s.result("a function of the Observer that calls Stats and Put", result)
	require.NoError(s.t, s.result("Put that made the queue call its Observer", fill))
	assert.NoError(s.t, err, "calls from within the Observer")
}

// fillOver puts in more than can wait. It may be called from any goroutine.
func (s *subject) fillOver() {
	for i := range int64(50 * tight / chunk) {
		if s.queue.Stats().Dropped > 0 {
			return
		}
		_ = s.queue.Put(s.ctx, metrictest.Numbers(chunk, i))
	}
}

func testObserverOnClose(s *subject) {
	if s.queue.Info().Durable {
		s.t.Skip("Close of a durable queue drops nothing")
	}
	result := make(chan error, 1)
	s.observed.onDrop(func(queue.Drop) {
		select {
		case result <- s.useAll():
		default: // only the first counts
		}
	})
	s.put(3, 1)
	closed := s.start(s.queue.Close)
	err := s.result("a function of the Observer that calls Stats and Put", result)
	assert.ErrorIs(s.t, err, queue.ErrClosed, "Put from within the Observer, while the queue is closed")
	require.NoError(s.t, s.result("Close", closed))
}

func testSettledDropIsNotObserved(s *subject) {
	s.put(3, 1)
	s.put(3, 2)
	for range 2 {
		s.settle(s.take(), 1, 2)
	}
	require.Equal(s.t, uint64(4), s.stats().Dropped)
	s.observed.await(s, 0)
}
