package main

import (
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A backend adds up what it receives. It knows a collection that it has seen
// before by its application and time, as one that stores series does.
type backend struct {
	mu     sync.Mutex
	seen   map[collection]bool
	newest map[string]time.Time // for each application
	total  int64
	again  int
	late   int
}

// A collection is what tells collections apart.
type collection struct {
	application string
	time        time.Time
}

func newBackend() *backend {
	return &backend{seen: make(map[collection]bool), newest: make(map[string]time.Time)}
}

func (b *backend) receive(rm *metricdata.ResourceMetrics) {
	id, _ := rm.Resource.Set().Value("service.instance.id")
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != "orders" {
				continue
			}
			for _, p := range sum.DataPoints {
				b.add(collection{application: id.String(), time: p.Time}, p.Value)
			}
		}
	}
}

// add adds a value that has not come before. The caller holds the lock.
func (b *backend) add(c collection, value int64) {
	if b.seen[c] {
		b.again++
		return
	}
	if c.time.Before(b.newest[c.application]) {
		b.late++
	} else {
		b.newest[c.application] = c.time
	}
	b.seen[c] = true
	b.total += value
}

// totals returns the sum, of how many collections, how many came again, and how
// many came first when a newer one had come.
func (b *backend) totals() (total int64, collections, again, late int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total, len(b.seen), b.again, b.late
}
