package asyncmetric_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// However many replicas fail at random, and whatever is split, merged, joined
// by overflow or flushed meanwhile, no backend sees a point of a series after a
// later one, and no exporter two calls at once.
func TestOrderHoldsWithReplicas(t *testing.T) {
	for seed := range uint64(1000) {
		synctest.Test(t, func(t *testing.T) { testOrder(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func testOrder(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	backend := &orderlyBackend{newest: make(map[string]time.Time), known: make(map[string]bool)}
	var inner []*metrictest.Exporter
	for i := range 4 {
		inner = append(inner, &metrictest.Exporter{OnExport: backend.replica(seed, 1+uint64(i))})
	}
	opts := []asyncmetric.Option{
		asyncmetric.WithReplicas(inner[1], inner[2], inner[3]),
		asyncmetric.WithMaxExportBatchSize(1 + rng.IntN(12)),
		asyncmetric.WithRetry(asyncmetric.Retry{Jitter: 0.5}),
		asyncmetric.WithDrainTimeout(time.Hour),
	}
	if rng.IntN(2) == 0 {
		opts = append(opts, asyncmetric.WithMerging(time.Duration(rng.IntN(3))*time.Second))
	}
	if rng.IntN(2) == 0 {
		opts = append(opts, asyncmetric.WithMaxQueueSize(60)) // joins
	}
	if rng.IntN(4) == 0 {
		opts = append(opts, asyncmetric.WithOverflow(queue.DropOldest))
	}
	e, _ := start(t, inner[0], opts...)
	for i := range 30 {
		require.NoError(t, e.Export(t.Context(), cumulative(rng, i)))
		if rng.IntN(3) == 0 {
			time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
		}
		if rng.IntN(10) == 0 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_ = e.ForceFlush(ctx)
			cancel()
		}
	}
	_ = e.Shutdown(t.Context())

	assertSettled(t, e.Stats())
	assert.Zero(t, backend.late, "points that came after a later one of their series")
	assert.NotEmpty(t, backend.newest)
	for i := range inner {
		assert.Zero(t, inner[i].Overlaps(), "calls of replica %d overlapped", i)
		assert.Equal(t, 1, inner[i].Count("Shutdown"), "replica %d", i)
	}
}

var resources = []*resource.Resource{
	resource.NewSchemaless(attribute.String("service.name", "a")),
	resource.NewSchemaless(attribute.String("service.name", "b")),
}

// cumulative returns the ith collection of an application whose counters are
// reset now and then: such points cannot be joined. Two of its instruments have
// one name, and each is not always there.
func cumulative(rng *rand.Rand, i int) *metricdata.ResourceMetrics {
	metrics := []metricdata.Metrics{counter(rng, i, "one"), counter(rng, i, "other")}
	if gone := rng.IntN(4); gone < 2 {
		metrics = metrics[gone : gone+1]
	}
	from := 0
	if rng.IntN(8) == 0 {
		from = 1
	}
	return &metricdata.ResourceMetrics{
		Resource:     resources[from],
		ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: metrics}},
	}
}

func counter(rng *rand.Rand, i int, description string) metricdata.Metrics {
	points := make([]metricdata.DataPoint[int64], 1+rng.IntN(10))
	for p := range points {
		points[p] = metricdata.DataPoint[int64]{
			Attributes: attribute.NewSet(attribute.Int(description, p)),
			StartTime:  metrictest.Epoch.Add(time.Duration(i/2) * time.Minute),
			Time:       metrictest.Epoch.Add(time.Duration(1+i) * time.Minute),
		}
	}
	return metricdata.Metrics{
		Name:        "counter",
		Description: description,
		Data:        metricdata.Sum[int64]{DataPoints: points, Temporality: metricdata.CumulativeTemporality, IsMonotonic: true},
	}
}

// orderlyBackend counts the points that come too late. What it has got before
// may come again: a batch whose answer was lost is repeated.
type orderlyBackend struct {
	mu     sync.Mutex
	newest map[string]time.Time // of each series
	known  map[string]bool
	late   int
}

// replica returns an OnExport that takes its time and fails at random, before
// or after the data has been accepted.
func (b *orderlyBackend) replica(seed, number uint64) func(context.Context, *metricdata.ResourceMetrics) error {
	rng := rand.New(rand.NewPCG(seed, number))
	return func(_ context.Context, rm *metricdata.ResourceMetrics) error {
		time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
		fate := rng.IntN(10)
		if fate == 0 {
			return errPermanent
		}
		if fate > 2 {
			b.accept(rm)
		}
		if fate < 5 {
			return errTransient
		}
		return nil
	}
}

func (b *orderlyBackend) accept(rm *metricdata.ResourceMetrics) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range rm.ScopeMetrics[0].Metrics {
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			b.acceptPoint(fmt.Sprint(rm.Resource, p.Attributes), p.Time)
		}
	}
}

func (b *orderlyBackend) acceptPoint(series string, at time.Time) {
	point := fmt.Sprint(series, at)
	if b.known[point] {
		return
	}
	b.known[point] = true
	if at.Before(b.newest[series]) {
		b.late++
	}
	b.newest[series] = at
}
