package asyncmetric_test

import (
	"context"
	"errors"
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
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// Each accepted point has exactly one end, at any instant, whatever happens at
// the same time.
func TestEveryPointIsAccountedForAtAnyInstant(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var mu sync.Mutex
		chance := func(n int) bool {
			mu.Lock()
			defer mu.Unlock()
			return rng.IntN(n) == 0
		}
		fate := func(context.Context, *metricdata.ResourceMetrics) error {
			switch {
			case chance(10):
				return errTransient
			case chance(10):
				return errPermanent
			case chance(10):
				return PartialSuccess{RejectedItems: 2}
			case chance(20):
				panic("now and then")
			default:
				return nil
			}
		}
		inner := &metrictest.Exporter{OnExport: fate}
		overflow := []queue.Overflow{queue.Coalesce, queue.DropOldest, queue.DropNewest, queue.Block}[seed%4]
		opts := []asyncmetric.Option{
			asyncmetric.WithMaxQueueSize(50), asyncmetric.WithMaxExportBatchSize(7), asyncmetric.WithOverflow(overflow),
			asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Microsecond, MaxElapsedTime: time.Millisecond}),
		}
		if chance(2) {
			opts = append(opts, asyncmetric.WithReplicas(&metrictest.Exporter{OnExport: fate}, &metrictest.Exporter{OnExport: fate}))
		}
		if chance(2) {
			opts = append(opts, asyncmetric.WithMerging(time.Duration(seed%2)*time.Millisecond))
		}
		if chance(2) {
			opts = append(opts, asyncmetric.WithMaxAge(2*time.Millisecond))
		}
		if chance(2) {
			opts = append(opts, asyncmetric.WithMinInterval(100*time.Microsecond))
		}
		e, r := start(t, inner, opts...)

		stop := make(chan struct{})
		var watchers, workers sync.WaitGroup
		watchers.Go(func() {
			for ok := true; ok; {
				select {
				case <-stop:
					return
				default:
					ok = assertConserved(t, e.Stats())
				}
			}
		})
		for range 4 {
			workers.Go(func() {
				for i := range 100 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Second)
					_ = e.Export(ctx, metrictest.Numbers(1+i%20, 1))
					if chance(20) {
						_ = e.ForceFlush(ctx)
					}
					cancel()
				}
			})
		}
		if seed%2 == 0 {
			workers.Wait()
		}
		_ = e.Shutdown(t.Context())
		workers.Wait()
		close(stop)
		watchers.Wait()

		s := e.Stats()
		assertSettled(t, s)
		sum := 0
		for _, points := range r.dropped() {
			sum += points
		}
		assert.Equal(t, s.Dropped, uint64(sum), "each drop reaches the hook, once")
		assert.Zero(t, inner.Overlaps())
	}
}

// An exporter that is used at random behaves as a list would: what was
// accepted arrives in order, but for what was reported as dropped.
func TestRandomUseAgainstAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		outcomes := rapid.SliceOfN(rapid.SampledFrom([]error{nil, nil, errTransient, errPermanent}), 1, 30).Draw(rt, "outcomes")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 12), 1, 20).Draw(rt, "sizes")
		batchSize := rapid.IntRange(0, 5).Draw(rt, "batch")
		flushAfter := rapid.IntRange(0, 20).Draw(rt, "flush")

		synctest.Test(t, func(t *testing.T) {
			calls := 0
			var dropped []int64 // the collection of each batch that failed for good
			inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
				err := outcomes[calls%len(outcomes)]
				calls++
				if calls > 500 {
					err = nil
				}
				if errors.Is(err, errPermanent) {
					dropped = append(dropped, metrictest.Value(rm))
				}
				return err
			}}
			e, r := start(t, inner, asyncmetric.WithMaxExportBatchSize(batchSize),
				asyncmetric.WithRetry(asyncmetric.Retry{Suspect: -1})) // a trial keeps the order of each series only
			var want []int64 // for each point its collection
			for i, size := range sizes {
				require.NoError(t, e.Export(t.Context(), metrictest.Numbers(size, int64(i))))
				for range size {
					want = append(want, int64(i))
				}
				if i == flushAfter {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					_ = e.ForceFlush(ctx)
					cancel()
				}
			}
			elapse(24 * time.Hour)
			_ = e.Shutdown(t.Context())

			var got []int64
			for _, rm := range inner.Delivered() {
				for range rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints {
					got = append(got, metrictest.Value(rm))
				}
			}
			assert.IsNonDecreasing(t, append([]int64{-1}, got...), "in order")
			s := e.Stats()
			assertSettled(t, s)
			assert.Len(t, want, int(s.Accepted))
			assert.Len(t, got, int(s.Exported))
			assert.Equal(t, r.dropped()[asyncmetric.ReasonPermanent], int(s.Dropped))
			assert.Equal(t, len(want), len(got)+int(s.Dropped))
			assert.Equal(t, len(dropped) == 0, s.Dropped == 0)
		})
	})
}

// The bound holds while points come in faster than they go out.
func TestWaitingPointsStayWithinTheBound(t *testing.T) {
	g := newGate()
	inner := &metrictest.Exporter{OnExport: g.stuck}
	e, _ := start(t, inner, asyncmetric.WithMaxQueueSize(100))
	export(t, e, 1)
	<-g.arrived
	for i := range 1000 {
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(1+i%60, 1)))
		s := e.Stats()
		assert.LessOrEqual(t, s.Queued-s.InFlight, 100)
	}
	close(g.open)
	shutdown(t, e, inner)
}

// A fault is something that an inner exporter does, in each of its methods. It
// may use the exporter around it, and gets the end of the test.
type fault func(ctx context.Context, e *asyncmetric.Exporter, end <-chan struct{}) error

var faults = map[string]fault{
	"succeeds": func(context.Context, *asyncmetric.Exporter, <-chan struct{}) error { return nil },
	"fails for now": func(context.Context, *asyncmetric.Exporter, <-chan struct{}) error {
		return errTransient
	},
	"fails for good": func(context.Context, *asyncmetric.Exporter, <-chan struct{}) error {
		return errPermanent
	},
	"panics": func(context.Context, *asyncmetric.Exporter, <-chan struct{}) error { panic("fault") },
	"blocks until its context ends": func(ctx context.Context, _ *asyncmetric.Exporter, _ <-chan struct{}) error {
		<-ctx.Done()
		return ctx.Err()
	},
	"blocks for ever": func(_ context.Context, _ *asyncmetric.Exporter, end <-chan struct{}) error {
		<-end
		return nil
	},
	"is slow": func(context.Context, *asyncmetric.Exporter, <-chan struct{}) error {
		time.Sleep(2 * time.Second)
		return nil
	},
	"re-enters Export": func(ctx context.Context, e *asyncmetric.Exporter, _ <-chan struct{}) error {
		if e.Stats().Accepted < 10 {
			return e.Export(ctx, metrictest.Numbers(1, 0))
		}
		return nil
	},
	"re-enters ForceFlush": func(ctx context.Context, e *asyncmetric.Exporter, _ <-chan struct{}) error {
		return e.ForceFlush(ctx)
	},
	"re-enters Shutdown": func(ctx context.Context, e *asyncmetric.Exporter, _ <-chan struct{}) error {
		return e.Shutdown(ctx)
	},
}

// Whatever the inner exporter does, and in whichever of its methods, the
// application gets its calls back in time.
func TestFaultsOfTheInnerExporter(t *testing.T) {
	for name, fault := range faults {
		for _, method := range []string{"Export", "ForceFlush", "Shutdown"} {
			t.Run(name+" in "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testFault(t, method, fault) })
			})
		}
	}
}

func testFault(t *testing.T, method string, fault fault) {
	const patience = 10 * time.Second
	var e *asyncmetric.Exporter
	begun, end := make(chan struct{}), make(chan struct{})
	act := func(ctx context.Context) error {
		<-begun // so that no fault hits the exports below, such as a Shutdown
		return fault(ctx, e, end)
	}
	inner := &metrictest.Exporter{}
	switch method {
	case "Export":
		inner.OnExport = func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
			mutate(rm)
			return act(ctx)
		}
	case "ForceFlush":
		inner.OnForceFlush = act
	case "Shutdown":
		inner.OnShutdown = act
	}
	e, _ = start(t, inner, asyncmetric.WithExportTimeout(4*time.Second))

	begin := time.Now()
	for range 3 {
		require.NoError(t, e.Export(t.Context(), metrictest.EveryKind(1)))
	}
	assert.Zero(t, time.Since(begin), "Export does not wait")
	close(begun)
	assertConserved(t, e.Stats())

	within := func(call func(context.Context) error) error {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err := call(ctx)
		assert.LessOrEqual(t, time.Since(begin), patience)
		assertConserved(t, e.Stats())
		return err
	}
	flushErr := within(e.ForceFlush)
	begin = time.Now()
	_ = e.Export(t.Context(), metrictest.EveryKind(1)) // refused if the fault was a Shutdown
	assert.Zero(t, time.Since(begin), "Export does not wait, whatever has happened")
	downErr := within(e.Shutdown)

	close(end)
	elapse(time.Hour)
	assertSettled(t, e.Stats())
	assert.Zero(t, inner.Overlaps())
	assert.Equal(t, 1, inner.Count("Shutdown"), "exactly once, at the latest in the background")
	if s := e.Stats(); s.Exported == s.Accepted && method == "Export" {
		assert.NoError(t, flushErr)
		assert.NoError(t, downErr)
	}
}

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

// Whatever happens, the metrics say the same as Stats and the hook.
func TestTelemetryAddsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		outcomes := rapid.SliceOfN(rapid.SampledFrom([]error{
			nil, nil, errTransient, errTransient, errPermanent, PartialSuccess{RejectedItems: 3}, PartialSuccess{},
		}), 1, 30).Draw(rt, "outcomes")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 12), 1, 20).Draw(rt, "sizes")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 20).Draw(rt, "pauses")
		opts := []asyncmetric.Option{
			asyncmetric.WithMaxExportBatchSize(rapid.IntRange(1, 9).Draw(rt, "batch")),
			asyncmetric.WithMaxQueueSize(rapid.IntRange(1, 40).Draw(rt, "bound")),
			asyncmetric.WithOverflow(rapid.SampledFrom([]queue.Overflow{
				queue.Coalesce, queue.DropOldest, queue.DropNewest,
			}).Draw(rt, "overflow")),
			asyncmetric.WithMaxAge(time.Duration(rapid.IntRange(0, 9).Draw(rt, "age")) * time.Second),
			asyncmetric.WithRetry(asyncmetric.Retry{
				MaxElapsedTime: time.Duration(rapid.IntRange(0, 9).Draw(rt, "elapsed")) * time.Second,
			}),
		}
		if rapid.Bool().Draw(rt, "merging") {
			opts = append(opts, asyncmetric.WithMerging(500*time.Millisecond))
		}
		drain := time.Duration(rapid.IntRange(1, 60).Draw(rt, "drain")) * time.Second

		synctest.Test(t, func(t *testing.T) {
			calls := 0
			inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
				time.Sleep(time.Millisecond)
				calls++
				return outcomes[calls%len(outcomes)]
			}}
			m := newMeters()
			e, r := start(t, inner, append(opts, m.option())...)
			for i, size := range sizes {
				_ = e.Export(t.Context(), metrictest.Numbers(size, int64(i)))
				elapse(time.Duration(pauses[i%len(pauses)]) * time.Second)
			}
			coalesced := m.of(t, e)["data_points.coalesced"] // it ends with Shutdown
			ctx, cancel := context.WithTimeout(t.Context(), drain)
			defer cancel()
			_ = e.Shutdown(ctx)

			s, got := e.Stats(), m.of(t, e)
			assertSettled(t, s)
			assert.InDelta(t, s.Exported, got["metric_data_point.exported"], 0)
			assert.InDelta(t, s.Dropped, got.sumOf("data_points.dropped", ""), 0)
			assert.InDelta(t, s.Coalesced, coalesced, 0)
			assert.InDelta(t, s.Retries, got["export.retries"], 0)
			assert.InDelta(t, calls-int(s.Retries), got.sumOf("operation.duration", " count"), 0, "first attempts")
			byDelivery := 0
			for reason, points := range r.dropped() {
				assert.InDelta(t, points, got["data_points.dropped reason="+string(reason)], 0)
				if reason != asyncmetric.ReasonOverflow && reason != asyncmetric.ReasonShutdown {
					byDelivery += points
				}
			}
			failed := got.sumOf("metric_data_point.exported error.type=", "") - got["metric_data_point.exported error.type=shutdown"]
			assert.InDelta(t, byDelivery, failed, 0)
			assert.LessOrEqual(t, got["metric_data_point.exported error.type=shutdown"], got["data_points.dropped reason=shutdown"])
		})
	})
}
