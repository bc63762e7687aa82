package asyncmetric_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestFlushDeliversThenFlushesTheInnerExporter(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner)
	export(t, e, 1, 2)
	require.NoError(t, e.ForceFlush(t.Context()))
	assert.Equal(t, []string{"Export", "Export", "ForceFlush"}, inner.Calls())
	shutdown(t, e, inner)
}

// Under constant load, a flush that waited for an empty queue would never end.
func TestFlushDoesNotWaitForWhatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: slow(10 * time.Second)}
		e, _ := start(t, inner)
		export(t, e, 1, 2)
		go func() {
			for v := int64(3); v < 100; v++ {
				time.Sleep(time.Second)
				assert.NoError(t, e.Export(context.Background(), metrictest.Numbers(1, v)))
			}
		}()
		begin := time.Now()
		require.NoError(t, e.ForceFlush(t.Context()))
		assert.Equal(t, 20*time.Second, time.Since(begin))
		assert.Equal(t, []string{"Export", "Export", "ForceFlush"}, inner.Calls()[:3])
		assert.NotZero(t, e.Stats().Queued)

		elapse(time.Hour)
		shutdown(t, e, inner)
	})
}

func TestFlushCutsABackOffShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient, errTransient, errTransient)}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{
			InitialInterval: 10 * time.Second, MaxInterval: time.Hour, Multiplier: 10, Jitter: -1,
		}))
		export(t, e, 1)
		elapse(15 * time.Second) // it has failed at 0 and 10 s, and is to be tried at 110 s
		assert.NoError(t, e.ForceFlush(t.Context()))
		s := time.Second
		assert.Equal(t, []time.Duration{0, 10 * s, 15 * s, 25 * s}, at, "at once, then with delays that start anew")
		shutdown(t, e, inner)
	})
}

func TestFlushCutsTheBackOffOfABatchThatWasUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			time.Sleep(time.Second)
			if attempts++; attempts == 1 {
				return errTransient
			}
			return nil
		}}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Minute, MaxInterval: time.Hour, Jitter: -1}))
		export(t, e, 1)
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, e.ForceFlush(t.Context()))
		assert.Equal(t, 2*time.Second, time.Since(begin))
		shutdown(t, e, inner)
	})
}

// One that has ended must not make a later batch skip its back-off.
func TestFlushCutsNoBackOffOfALaterCollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient)}
		e, _ := start(t, inner, fixed)
		require.NoError(t, e.ForceFlush(t.Context()))
		export(t, e, 1)
		elapse(time.Minute)
		assert.Equal(t, []time.Duration{0, time.Second}, at)
		shutdown(t, e, inner)
	})
}

func TestCancelledFlushKeepsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, r := start(t, inner)
		export(t, e, 1, 2, 3)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := e.ForceFlush(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "3 data points still queued")
		assert.Equal(t, 5*time.Second, time.Since(begin))
		assert.Equal(t, 3, e.Stats().Queued)

		cancel()
		err = e.ForceFlush(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, inner.Count("ForceFlush"))

		close(g.open)
		shutdown(t, e, inner)
		assert.Equal(t, []int64{1, 2, 3}, metrictest.Values(inner.Delivered()))
		assert.Empty(t, r.dropped())
	})
}

func TestFlushWithoutDeadlineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, _ := start(t, inner, asyncmetric.WithDrainTimeout(17*time.Second))
		export(t, e, 1)
		begin := time.Now()
		assert.ErrorIs(t, e.ForceFlush(context.Background()), context.DeadlineExceeded)
		assert.Equal(t, 17*time.Second, time.Since(begin))
		close(g.open)
		shutdown(t, e, inner)
	})
}

func TestFlushReturnsTheErrorsOfItsBatchesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errs := make(map[int64]error)
		for _, v := range []int64{1, 2, 3, 5} {
			errs[v] = fmt.Errorf("%d: %w", v, errPermanent)
		}
		inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
			time.Sleep(time.Second)
			return errs[metrictest.Value(rm)]
		}}
		e, _ := start(t, inner)
		export(t, e, 1)
		elapse(time.Minute) // 1 has ended before the flush
		export(t, e, 2, 3, 4)
		synctest.Wait()
		result := make(chan error, 1)
		go func() { result <- e.ForceFlush(context.Background()) }()
		synctest.Wait()
		export(t, e, 5)
		err := <-result
		assert.ErrorIs(t, err, errs[2])
		assert.ErrorIs(t, err, errs[3])
		assert.NotErrorIs(t, err, errs[1])
		assert.NotErrorIs(t, err, errs[5])
		elapse(time.Minute)
		assert.NoError(t, e.ForceFlush(t.Context()), "errors are returned once")
		shutdown(t, e, inner)
	})
}

func TestFlushReturnsBoundedErrors(t *testing.T) {
	g := newGate()
	inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
		_ = g.pass(context.Background())
		return errPermanent
	}}
	synctest.Test(t, func(t *testing.T) {
		g = newGate()
		e, _ := start(t, inner)
		for v := range int64(100) {
			export(t, e, v)
		}
		result := make(chan error, 1)
		go func() { result <- e.ForceFlush(context.Background()) }()
		synctest.Wait()
		close(g.open)
		assert.ErrorContains(t, <-result, "and 84 further errors")
		shutdown(t, e, inner)
	})
}

func TestFlushReturnsTheInnerError(t *testing.T) {
	broken := errors.New("broken")
	inner := &metrictest.Exporter{OnForceFlush: func(context.Context) error { return broken }}
	e, _ := start(t, inner)
	assert.ErrorIs(t, e.ForceFlush(t.Context()), broken)
	assert.ErrorIs(t, e.Shutdown(t.Context()), broken, "which Shutdown flushes too")
	assert.Equal(t, 1, inner.Count("Shutdown"))
}

// A flush is served while a later collection waits to be tried again.
func TestFlushReachesTheInnerExporterDuringABackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
			if metrictest.Value(rm) == 2 {
				return errTransient
			}
			time.Sleep(time.Second)
			return nil
		}}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Hour, MaxInterval: time.Hour, Jitter: -1}))
		export(t, e, 1)
		result := make(chan error, 1)
		go func() { result <- e.ForceFlush(context.Background()) }()
		synctest.Wait()
		export(t, e, 2)
		begin := time.Now()
		assert.NoError(t, <-result)
		assert.Equal(t, time.Second, time.Since(begin))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, e.Shutdown(ctx), context.DeadlineExceeded)
	})
}

func TestFlushAfterShutdown(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner)
	shutdown(t, e, inner)
	assert.Equal(t, metric.ErrExporterShutdown, e.ForceFlush(t.Context()))
}

func TestConcurrentFlushesAllEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: slow(time.Second)}
		e, _ := start(t, inner)
		results := make(chan error, 20)
		for v := range int64(20) {
			export(t, e, v)
			go func() { results <- e.ForceFlush(context.Background()) }()
		}
		for range 20 {
			assert.NoError(t, <-results)
		}
		assert.Less(t, inner.Count("ForceFlush"), 21)
		shutdown(t, e, inner)
	})
}

func TestFlushesThatHavePassedShareOneFlushOfTheInnerExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnForceFlush: func(context.Context) error { time.Sleep(time.Second); return errPermanent }}
		e, _ := start(t, inner)
		export(t, e, 1)
		begin := time.Now()
		errs := make(chan error, 60)
		for range 60 {
			go func() { errs <- e.ForceFlush(t.Context()) }()
		}
		for range 60 {
			assert.ErrorIs(t, <-errs, errPermanent, "each gets what it waited for")
		}
		assert.LessOrEqual(t, inner.Count("ForceFlush"), 2, "one that was under way, and one for all that came meanwhile")
		assert.LessOrEqual(t, time.Since(begin), 2*time.Second)
		_ = e.Shutdown(t.Context())
	})
}

func TestASharedFlushLivesAsLongAsOneOfItsCallersWaits(t *testing.T) {
	for name, cancelled := range map[string]int{"one gives up": 1, "all give up": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := false
				inner := &metrictest.Exporter{}
				e, g := held(t, inner)
				inner.OnForceFlush = func(ctx context.Context) error {
					select {
					case <-ctx.Done():
						ended = true
					case <-time.After(10 * time.Second):
					}
					return ctx.Err()
				}
				errs := make(chan error, 2)
				var cancels []context.CancelFunc
				for range 2 {
					ctx, cancel := context.WithCancel(t.Context())
					cancels = append(cancels, cancel)
					go func() { errs <- e.ForceFlush(ctx) }()
				}
				synctest.Wait()
				close(g.open)
				elapse(time.Second) // one flush is under way for both
				for _, cancel := range cancels[:cancelled] {
					cancel()
				}
				synctest.Wait()
				assert.Equal(t, cancelled == 2, ended)
				for i := range 2 {
					if err := <-errs; i < cancelled {
						assert.ErrorIs(t, err, context.Canceled)
					} else {
						assert.NoError(t, err)
					}
				}
				inner.OnForceFlush = nil
				shutdown(t, e, inner)
				for _, cancel := range cancels {
					cancel()
				}
			})
		})
	}
}

func TestFlushReturnsThatWhatItWaitedForWasDroppedByOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		e, g := held(t, inner, asyncmetric.WithMaxQueueSize(2), asyncmetric.WithOverflow(queue.DropOldest))
		export(t, e, 1, 2)
		waits := make(chan error, 1)
		go func() { waits <- e.ForceFlush(t.Context()) }()
		synctest.Wait()
		export(t, e, 3, 4)
		later := make(chan error, 1)
		go func() { later <- e.ForceFlush(t.Context()) }()
		synctest.Wait()
		close(g.open)
		err := <-waits
		assert.ErrorIs(t, err, queue.ErrFull)
		assert.ErrorContains(t, err, "1 data point dropped (overflow)")
		assert.NoError(t, <-later, "it has waited for none of them")
		shutdown(t, e, inner)
	})
}

func TestFlushThatTimesOutSaysWhyTheLastAttemptFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			return fmt.Errorf("the backend is busy: %w", io.EOF)
		}}
		e, _ := start(t, inner, asyncmetric.WithName("x"))
		export(t, e, 1, 2)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := e.ForceFlush(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, io.EOF)
		assert.EqualError(t, err, "asyncmetric: exporter x: flush ended with 2 data points still queued: "+
			"context deadline exceeded; the last attempt failed: the backend is busy: EOF")
		require.Error(t, giveUp(e))
	})
}

func TestFlushDoesNotCutShortADelayOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, hint{10 * time.Second}, hint{10 * time.Second})}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{Jitter: -1, Classify: asHint}))
		for v := range int64(60) {
			export(t, e, v)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			assert.ErrorIs(t, e.ForceFlush(ctx), context.DeadlineExceeded)
			cancel()
		}
		assert.Len(t, at, 1)
		assert.NoError(t, e.ForceFlush(t.Context()))
		assert.Equal(t, []time.Duration{0, 10 * time.Second, 20 * time.Second}, at[:3])
		shutdown(t, e, inner)
	})
}

func TestDrainTimeoutBoundsFlushAndShutdownWhateverTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errTransient }}
		for name, opts := range map[string][]asyncmetric.Option{"given": {asyncmetric.WithDrainTimeout(5 * time.Second)}, "not given": nil} {
			e, _ := start(t, inner, opts...)
			export(t, e, 1)
			for _, call := range []func(context.Context) error{e.ForceFlush, e.Shutdown} {
				begin := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				assert.ErrorIs(t, call(ctx), context.DeadlineExceeded)
				cancel()
				if name == "given" {
					assert.LessOrEqual(t, time.Since(begin), 5*time.Second)
				} else {
					assert.Greater(t, time.Since(begin), 50*time.Second)
				}
			}
		}
	})
}

// A flush may begin when the worker has looked at the flushes and has not taken
// the next collection yet; that one may even be accepted in between.
func TestFlushDoesNotWaitForWhatIsTakenBehindIt(t *testing.T) {
	for name, opts := range map[string][]asyncmetric.Option{
		"alone":     nil,
		"lingering": {asyncmetric.WithMerging(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var e *asyncmetric.Exporter
				started := make(chan struct{})
				flushed := make(chan error, 1)
				once := false
				q := newObservedQueue(t, func(context.Context, int) error {
					<-started
					if once {
						return nil
					}
					once = true
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					go func() { defer cancel(); flushed <- e.ForceFlush(ctx) }()
					time.Sleep(time.Second) // it has begun, and waits for nothing
					return e.Export(t.Context(), metrictest.Numbers(1, 1))
				})
				g := newGate()
				inner := &metrictest.Exporter{OnExport: g.stuck}
				e, _ = start(t, inner, append(opts, asyncmetric.WithQueue(q))...)
				close(started)
				assert.NoError(t, <-flushed)
				assert.Equal(t, 1, inner.Count("ForceFlush"))
				close(g.open)
				shutdown(t, e, inner)
			})
		})
	}
}

// A flush that ends from the start waits for nothing, so no batch is in a hurry
// because of it.
func TestFlushWithAnEndedContextCutsNoBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient)}
		e, _ := start(t, inner, fixed)
		export(t, e, 1)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 1000 {
			assert.ErrorIs(t, e.ForceFlush(ctx), context.Canceled)
		}
		synctest.Wait()
		assert.Equal(t, 1, inner.Count("Export"))
		shutdown(t, e, inner)
	})
}

func TestEachFlushCutsTheBackOffOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient, errTransient, errTransient)}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Hour, MaxInterval: time.Hour, Jitter: -1}))
		export(t, e, 1)
		for range 2 {
			elapse(time.Minute)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			assert.ErrorIs(t, e.ForceFlush(ctx), context.DeadlineExceeded)
			cancel()
		}
		synctest.Wait()
		assert.Equal(t, []time.Duration{0, time.Minute, 2*time.Minute + 10*time.Second}, at)
		shutdown(t, e, inner)
	})
}

func TestASharedFlushHasTheTimeOfItsMostPatientCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		e, g := held(t, inner)
		inner.OnForceFlush = func(ctx context.Context) error {
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
			return ctx.Err()
		}
		results := make(map[time.Duration]chan error)
		for _, patience := range []time.Duration{2 * time.Second, 20 * time.Second} {
			result := make(chan error, 1)
			results[patience] = result
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				result <- e.ForceFlush(ctx)
			}()
		}
		synctest.Wait()
		close(g.open)
		assert.ErrorIs(t, <-results[2*time.Second], context.DeadlineExceeded)
		assert.NoError(t, <-results[20*time.Second])
		assert.Equal(t, 1, inner.Count("ForceFlush"))
		shutdown(t, e, inner)
	})
}

func TestFlushFailsForWhatIsDroppedWhereTheApplicationClosesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.NewMemory(queue.Bound{Points: 100}, queue.DropOldest)
		require.NoError(t, err)
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.export}
		e, r := start(t, inner, asyncmetric.WithQueue(q))
		export(t, e, 1, 2, 3)
		<-g.arrived
		flushed := make(chan error, 1)
		go func() { flushed <- e.ForceFlush(t.Context()) }()
		synctest.Wait()
		require.NoError(t, q.Close())
		close(g.open)
		assert.Error(t, <-flushed, "2 and 3 were dropped: %v", r.dropped())
		_ = e.Shutdown(t.Context())
	})
}

func TestFlushThatBeginsDuringADelayOfTheServerSaysWhyItTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			return hint{30 * time.Second}
		}}
		e, _ := start(t, inner, namedByServer)
		export(t, e, 1)
		elapse(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := e.ForceFlush(ctx)
		assert.ErrorContains(t, err, "not before 30s")
		ctx2, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		_ = e.Shutdown(ctx2)
	})
}

func TestFlushEndsAfterTheApplicationHasClosedTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.NewMemory(queue.Bound{Points: 100}, queue.DropOldest)
		require.NoError(t, err)
		release := make(chan struct{})
		g := newGate()
		e, _ := start(t, &metrictest.Exporter{OnExport: g.export}, asyncmetric.WithQueue(q), asyncmetric.WithOnDrop(func(asyncmetric.Drop) { <-release }))
		export(t, e, 1, 2)
		<-g.arrived
		go func() { _ = q.Close() }() // drops 2; the hook is slow
		synctest.Wait()
		close(g.open)
		synctest.Wait()
		flushed := make(chan time.Time, 1)
		go func() { _ = e.ForceFlush(t.Context()); flushed <- time.Now() }()
		elapse(time.Second)
		begin := time.Now()
		close(release)
		assert.Less(t, (<-flushed).Sub(begin), time.Second)
		_ = e.Shutdown(t.Context())
	})
}

// A collection of two batches: the first is refused, then the flush begins, then the second is exported.
func TestFlushFailsForWhatWasDroppedBeforeItBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		n := 0
		inner := &metrictest.Exporter{}
		inner.OnExport = func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
			if n++; n == 1 {
				return errPermanent
			}
			return g.export(ctx, rm)
		}
		e, _ := start(t, inner, asyncmetric.WithMaxExportBatchSize(1))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(2, 1)))
		<-g.arrived
		before := e.Stats()
		assert.Zero(t, before.Dropped)
		assert.Equal(t, 2, before.Queued)
		flushed := make(chan error, 1)
		go func() { flushed <- e.ForceFlush(t.Context()) }()
		synctest.Wait()
		close(g.open)
		err := <-flushed
		assert.ErrorIs(t, err, errPermanent, "one of the two points that were queued has been dropped: %+v", e.Stats())
		_ = e.Shutdown(t.Context())
	})
}

// A flush while the queue fails says so.
func TestFlushThatTimesOutSaysThatTheQueueFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		q.take = func(ctx context.Context, l queue.Limit) (queue.Entry, error) { return nil, errors.New("disk") }
		e, _ := start(t, &metrictest.Exporter{}, asyncmetric.WithQueue(q))
		export(t, e, 1)
		elapse(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		assert.ErrorContains(t, e.ForceFlush(ctx), "disk")
		ctx2, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		_ = e.Shutdown(ctx2)
	})
}

// What was accepted is not known then, and what Stats returned before may be less.
func TestFlushWaitsForAllThereIsWhereStatsOfTheQueuePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newPanickyQueue(t, "")
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.export}
		e, _ := start(t, inner, asyncmetric.WithQueue(q))
		export(t, e, 1)
		<-g.arrived
		e.Stats()
		export(t, e, 2)
		q.in.Store("Stats")
		flushed := make(chan error, 1)
		go func() { flushed <- e.ForceFlush(t.Context()) }()
		synctest.Wait()
		q.in.Store("")
		g.open <- struct{}{}
		<-g.arrived
		elapse(time.Second)
		assert.Empty(t, flushed, "2 has not been delivered")
		assert.Zero(t, inner.Count("ForceFlush"))
		close(g.open)
		elapse(time.Second)
		require.Len(t, flushed, 1)
		assert.NoError(t, <-flushed)
		assert.Equal(t, []int64{1, 2}, metrictest.Values(inner.Delivered()))
		shutdown(t, e, inner)
	})
}

// The flush waits within a linger for a disk that hangs.
func TestFlushDoesNotWaitForASlowTakeDuringALinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		q.take = func(ctx context.Context, l queue.Limit) (queue.Entry, error) {
			if s := q.Queue.Stats(); s.Queued == s.InFlight && s.Queued > 0 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return q.Queue.Take(ctx, l)
		}
		e, _ := start(t, &metrictest.Exporter{}, asyncmetric.WithQueue(q), asyncmetric.WithMerging(time.Minute))
		export(t, e, 1)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		assert.NoError(t, e.ForceFlush(ctx))
		_ = e.Shutdown(t.Context())
	})
}

func TestFlushThatTimesOutDoesNotNameAnErrorThatIsPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed atomic.Bool
		q := newObservedQueue(t, func(context.Context, int) error {
			if failed.CompareAndSwap(false, true) {
				return errors.New("the disk is slow")
			}
			return nil
		})
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, _ := start(t, inner, asyncmetric.WithQueue(q), fixed)
		elapse(time.Minute)
		export(t, e, 1)
		<-g.arrived
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := e.ForceFlush(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotContains(t, err.Error(), "the disk is slow")
		close(g.open)
		shutdown(t, e, inner)
	})
}
