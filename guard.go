package asyncmetric

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/contain"
	"github.com/asyncmetric/asyncmetric/queue"
)

// A guarded queue is one of the application: a panic in it becomes an error.
// Take and what concerns entries the worker guards itself.
type guarded struct {
	queue.Queue
	report func(kind string, err error)
	stats  atomic.Pointer[queue.Stats] // the last that it returned
}

// Put implements [queue.Queue].
func (g *guarded) Put(ctx context.Context, rm *metricdata.ResourceMetrics) (err error) {
	defer contain.Recover("Put of the queue", &err)
	return g.Queue.Put(ctx, rm)
}

// Stats implements [queue.Queue]. Where the queue panics it returns what it
// returned before.
func (g *guarded) Stats() (s queue.Stats) {
	err := func() (err error) {
		defer contain.Recover("Stats of the queue", &err)
		s = g.Queue.Stats()
		return nil
	}()
	if err == nil {
		g.stats.Store(&s)
		return s
	}
	g.report("a queue", err)
	if last := g.stats.Load(); last != nil {
		return *last
	}
	return s
}

// Seal implements [queue.Queue].
func (g *guarded) Seal() {
	err := func() (err error) {
		defer contain.Recover("Seal of the queue", &err)
		g.Queue.Seal()
		return nil
	}()
	if err != nil {
		g.report("a queue", err)
	}
}

// Close implements [queue.Queue].
func (g *guarded) Close() (err error) {
	defer contain.Recover("Close of the queue", &err)
	return g.Queue.Close()
}
