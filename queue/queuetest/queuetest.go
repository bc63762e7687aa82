package queuetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/queue"
)

// Config says what to test. New is required.
type Config struct {
	// New returns a queue in which about maxPoints data points can wait. It is
	// fresh, empty and not started. The suite closes it.
	//
	// Where Info().MaxPoints is maxPoints, the suite expects that exactly
	// maxPoints data points can wait. Of any other queue, for example one that is
	// bounded in bytes, it expects that it is full when 50 times as many have been
	// put in, in collections of a tenth of maxPoints.
	New func(t *testing.T, maxPoints int, overflow queue.Overflow) queue.Queue

	// Overflows are the policies to test; nil means all.
	Overflows []queue.Overflow

	// Equal reports whether a collection came out of the queue as it was put
	// in; nil means that they must be deeply equal. Set it if the encoding does
	// not preserve every detail.
	Equal func(put, taken *metricdata.ResourceMetrics) bool

	// Blocked returns how many calls of Put wait for room in q. The contract
	// offers no way to see that; without it the suite does not test in which
	// order such calls get room.
	Blocked func(q queue.Queue) int

	// Reopen returns the queue that finds what the closed one kept. It is not
	// started. Without Reopen the suite does not test what a durable queue finds
	// when it is opened.
	Reopen func(t *testing.T, closed queue.Queue) queue.Queue
}

// The bounds of the queues under test, in data points.
const (
	roomy = 100_000 // no claim that is tested with it comes near
	tight = 100
	chunk = tight / 10 // the usual collection in a tight queue
)

// A claim is something that the contract promises.
type claim struct {
	name      string
	demand    string                // the words of the contract
	under     []queue.Overflow      // the policies that it concerns; nil means all
	bound     int                   // of the queue under test
	unstarted bool                  // the test calls Start
	test      func(s *subject)      // with a fresh queue
	model     func(*testing.T, kit) // instead of test: makes its own queues
}

// claims returns everything that is tested, in the order of the contract.
func claims() []claim {
	return slices.Concat(
		startClaims, putClaims, takeClaims, settleClaims, returnClaims, statsClaims, sealClaims, closeClaims,
		durableClaims, overflowClaims, oversizeClaims, blockClaims, observerClaims, concurrencyClaims, modelClaims,
	)
}

// A kit is a Config and one of its policies.
type kit struct {
	Config
	overflow queue.Overflow
	exact    bool           // the queue is bounded in data points
	patience *time.Duration // how long something that has to happen may take
}

// Run tests the queues that c.New returns.
func Run(t *testing.T, c Config) {
	t.Helper()
	if c.New == nil {
		t.Fatal("queuetest: Config.New is required")
	}
	if c.Overflows == nil {
		c.Overflows = policies()
	}
	for _, overflow := range c.Overflows {
		t.Run(overflow.String(), func(t *testing.T) {
			k := kit{Config: c, overflow: overflow, exact: c.exact(t, overflow), patience: new(patience)}
			for _, claim := range claims() {
				if claim.under == nil || slices.Contains(claim.under, overflow) {
					t.Run(claim.name, func(t *testing.T) { claim.check(t, k) })
				}
			}
		})
	}
}

// exact reports whether the bound of the queues is one of data points.
func (c Config) exact(t *testing.T, overflow queue.Overflow) bool {
	q := c.New(t, tight, overflow)
	defer func() { _ = q.Close() }()
	return q.Info().MaxPoints == tight
}

// policies returns all policies that there are.
func policies() []queue.Overflow {
	var all []queue.Overflow
	for o := queue.Overflow(1); o.Valid(); o++ {
		all = append(all, o)
	}
	return all
}

func (c claim) check(t *testing.T, k kit) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.explain())
		}
	})
	if c.model != nil {
		c.model(t, k)
		return
	}
	s := newSubject(t, k, c.bound)
	if !c.unstarted {
		s.begin()
	}
	c.test(s)
	s.finish()
}

func (c claim) explain() string {
	return fmt.Sprintf("The contract of queue.Queue demands: %s", c.demand)
}
