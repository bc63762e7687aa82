package asyncmetric_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
			e, r := start(t, inner, asyncmetric.WithMaxExportBatchSize(batchSize))
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

func TestOldestAgeIsThatOfWhatHasNotEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, _ := start(t, inner)
		export(t, e, 1)
		elapse(3 * time.Second)
		export(t, e, 2)
		elapse(4 * time.Second)
		s := e.Stats()
		assert.Equal(t, 7*time.Second, s.OldestAge)
		assert.Equal(t, 2, s.QueuedCollections)
		g.open <- struct{}{}
		synctest.Wait()
		assert.Equal(t, 4*time.Second, e.Stats().OldestAge)
		close(g.open)
		shutdown(t, e, inner)
	})
}
