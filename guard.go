package asyncmetric

import (
	"context"
	"errors"
	"math"
	"sync/atomic"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/contain"
	"github.com/asyncmetric/asyncmetric/queue"
)

// A guarded queue is one of the application. Each of its calls returns, whatever
// the queue does, with an error that ends; the sentinels that matter to the
// exporter come as they are, not wrapped.
type guarded struct {
	queue.Queue
	ready  <-chan struct{}
	info   queue.Info
	report func(kind string, err error) // called where no lock is held

	stats   atomic.Pointer[queue.Stats] // the last ones; nil before the first
	failure atomic.Pointer[error]       // of Stats, not reported yet
}

// newGuarded asks the queue for what does not change.
func newGuarded(q queue.Queue, report func(kind string, err error)) (*guarded, error) {
	g := &guarded{Queue: q, report: report}
	err := contain.Call("a queue", func() error {
		g.ready, g.info = q.Ready(), q.Info()
		return nil
	})
	return g, err
}

// call calls a method of the queue, and reports how Stats failed before.
func (g *guarded) call(method string, f func() error) error {
	if err := g.failure.Swap(nil); err != nil {
		g.report("a queue", *err)
	}
	return contain.Call(method+" of the queue", func() error {
		err := f()
		for _, sentinel := range []error{queue.ErrClosed, queue.ErrEmpty, queue.ErrDeclined} {
			for e := range contain.Errors(err) {
				if e == sentinel {
					return sentinel
				}
			}
		}
		return err
	})
}

// Ready implements [queue.Queue].
func (g *guarded) Ready() <-chan struct{} { return g.ready }

// Info implements [queue.Queue].
func (g *guarded) Info() queue.Info { return g.info }

// Start implements [queue.Queue].
func (g *guarded) Start(o queue.Observer) error {
	return g.call("Start", func() error { return g.Queue.Start(o) })
}

// Put implements [queue.Queue].
func (g *guarded) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	return g.call("Put", func() error { return g.Queue.Put(ctx, rm) })
}

// Take implements [queue.Queue].
func (g *guarded) Take(ctx context.Context, limit queue.Limit) (entry queue.Entry, err error) {
	err = g.call("Take", func() (err error) {
		entry, err = g.Queue.Take(ctx, limit)
		if err == nil && isNil(entry) {
			return errors.New("it returned no entry, and no error")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return guardedEntry{entry, g}, nil
}

// Stats implements [queue.Queue]. Where the queue panics nothing is known to be
// settled, or how much was accepted, and the rest is as it was. The next call of another method reports it:
// here a lock may be held.
func (g *guarded) Stats() (s queue.Stats) {
	err := contain.Call("Stats of the queue", func() error {
		s = g.Queue.Stats()
		return nil
	})
	if err == nil {
		g.stats.Store(&s)
		return s
	}
	g.failure.Store(&err)
	if last := g.stats.Load(); last != nil {
		s = *last
	}
	s.First, s.Last = 1, math.MaxUint64
	return s
}

// Seal implements [queue.Queue].
func (g *guarded) Seal() {
	err := g.call("Seal", func() error { g.Queue.Seal(); return nil })
	if err != nil {
		g.report("a queue", err)
	}
}

// Close implements [queue.Queue].
func (g *guarded) Close() error { return g.call("Close", g.Queue.Close) }

// A guardedEntry is an entry of a guarded queue. What it only returns is asked for
// where a panic does no harm.
type guardedEntry struct {
	queue.Entry
	queue *guarded
}

// Settle implements [queue.Entry].
func (e guardedEntry) Settle(o queue.Outcome) error {
	return e.queue.call("Settle", func() error { return e.Entry.Settle(o) })
}

// Return implements [queue.Entry].
func (e guardedEntry) Return() error { return e.queue.call("Return", e.Entry.Return) }
