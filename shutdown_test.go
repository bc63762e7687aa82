package asyncmetric_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestShutdownDrainsThenShutsTheInnerExporterDown(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, r := start(t, inner)
	export(t, e, 1, 2, 3)
	require.NoError(t, e.Shutdown(t.Context()))
	assert.Equal(t, []string{"Export", "Export", "Export", "ForceFlush", "Shutdown"}, inner.Calls())
	assert.Empty(t, r.dropped())
	assertSettled(t, e.Stats())
}

func TestShutdownRepeatsWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient, errTransient, errTransient)}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: 5 * time.Second, Multiplier: 2, Jitter: -1}))
		export(t, e, 1, 2)
		elapse(2 * time.Second)
		require.NoError(t, e.Shutdown(t.Context()))
		s := time.Second
		assert.Equal(t, []time.Duration{0, 2 * s, 7 * s, 17 * s, 17 * s}, at, "at once, then with delays that start anew")
	})
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 10)
		inner := &metrictest.Exporter{OnExport: outage(causes)}
		e, r := start(t, inner, asyncmetric.WithMaxExportBatchSize(2))
		export(t, e, 1)
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(10, 2)))

		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := e.Shutdown(ctx)
		assert.Equal(t, 4900*time.Millisecond, time.Since(begin), "a little is kept for the rest")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "11 data points were not delivered")
		assert.ErrorContains(t, <-causes, "the time for Shutdown is over")
		assert.Equal(t, []string{"Export", "ForceFlush", "Shutdown"}, inner.Calls(), "before Shutdown returned")
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonShutdown: 11}, r.dropped())
		assertSettled(t, e.Stats())
		var undelivered *asyncmetric.UndeliveredError
		require.ErrorAs(t, err, &undelivered)
		assert.Equal(t, 11, undelivered.Points)
		assert.False(t, undelivered.Kept)
		assert.Equal(t, []error{undelivered}, r.errors(), "the SDK may hide the error of Shutdown")
	})
}

func TestShutdownDuringABackOffEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errTransient }}
		e, r := start(t, inner)
		export(t, e, 1, 2)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		assert.ErrorIs(t, e.Shutdown(ctx), context.DeadlineExceeded)
		assert.Equal(t, 9900*time.Millisecond, time.Since(begin))
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonShutdown: 2}, r.dropped())
		assert.Equal(t, 1, inner.Count("Shutdown"))
	})
}

func TestShutdownOfAPartlyDeliveredCollectionCountsExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			if attempts++; attempts > 2 {
				return errTransient
			}
			return nil
		}}
		e, r := start(t, inner, asyncmetric.WithMaxExportBatchSize(3))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(10, 1)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorContains(t, e.Shutdown(ctx), "4 data points were not delivered")
		assert.Equal(t, uint64(6), e.Stats().Exported)
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonShutdown: 4}, r.dropped())
		assertSettled(t, e.Stats())
	})
}

func TestShutdownWithEndedContext(t *testing.T) {
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled": context.WithCancel,
		"expired": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadline(ctx, time.Now().Add(-time.Second))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				causes := make(chan error, 10)
				inner := &metrictest.Exporter{OnExport: outage(causes)}
				inner.OnShutdown = func(ctx context.Context) error { return ctx.Err() }
				e, r := start(t, inner)
				export(t, e, 1, 2)
				synctest.Wait()
				begin := time.Now()
				ctx, cancel := end(t.Context())
				cancel()
				err := e.Shutdown(ctx)
				assert.Zero(t, time.Since(begin))
				assert.ErrorIs(t, err, ctx.Err())
				assert.ErrorContains(t, err, "2 data points were not delivered")
				assert.Equal(t, []string{"Export", "Shutdown"}, inner.Calls(), "it is not flushed, but shut down")
				assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonShutdown: 2}, r.dropped())
				assertSettled(t, e.Stats())
			})
		})
	}
}

func TestShutdownReturnsWithinItsContextWhenTheInnerExporterIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, r := start(t, inner)
		export(t, e, 1, 2, 3)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := e.Shutdown(ctx)
		assert.Equal(t, 5*time.Second, time.Since(begin))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "3 data points were not delivered")
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonShutdown: 2}, r.dropped())
		s := e.Stats()
		assertConserved(t, s)
		assert.Equal(t, 1, s.InFlight, "its attempt has not ended")
		assert.Zero(t, inner.Count("Shutdown"), "no two calls at once")

		close(g.open)
		elapse(time.Minute)
		assert.Equal(t, 1, inner.Count("Shutdown"), "in the background, as soon as possible")
		assert.Equal(t, uint64(1), e.Stats().Exported)
		assertSettled(t, e.Stats())
		assert.Zero(t, inner.Overlaps())
	})
}

func TestCancelledShutdownGivesAStuckExporterAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, _ := start(t, inner)
		export(t, e, 1)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		assert.ErrorIs(t, e.Shutdown(ctx), context.Canceled)
		assert.Equal(t, 1100*time.Millisecond, time.Since(begin))
		close(g.open)
	})
}

func TestShutdownWithoutDeadlineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, _ := start(t, inner, asyncmetric.WithDrainTimeout(17*time.Second))
		export(t, e, 1)
		begin := time.Now()
		assert.ErrorIs(t, e.Shutdown(context.Background()), context.DeadlineExceeded)
		assert.Equal(t, 17*time.Second, time.Since(begin))
		close(g.open)
	})
}

func TestFurtherShutdownsWaitForTheSameEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: slow(10 * time.Second)}
		e, _ := start(t, inner)
		export(t, e, 1)
		begin := time.Now()
		first := make(chan error, 1)
		go func() { first <- e.Shutdown(context.Background()) }()
		synctest.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := e.Shutdown(ctx)
		assert.ErrorIs(t, err, metric.ErrExporterShutdown)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(begin))

		assert.Equal(t, metric.ErrExporterShutdown, e.Shutdown(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(begin))
		assert.NoError(t, <-first)
		assert.Equal(t, metric.ErrExporterShutdown, e.Shutdown(t.Context()))
		assert.Equal(t, 1, inner.Count("Shutdown"))
		assert.Equal(t, uint64(1), e.Stats().Exported, "the impatient caller did not cut it short")
	})
}

func TestShutdownJoinsAllErrors(t *testing.T) {
	flush, down := errors.New("flush"), errors.New("down")
	inner := &metrictest.Exporter{
		OnExport:     func(context.Context, *metricdata.ResourceMetrics) error { return errPermanent },
		OnForceFlush: func(context.Context) error { return flush },
		OnShutdown:   func(context.Context) error { return down },
	}
	g := newGate()
	inner.OnExport = func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
		return errors.Join(g.stuck(ctx, rm), errPermanent)
	}
	e, _ := start(t, inner)
	export(t, e, 1)
	<-g.arrived
	result := make(chan error, 1)
	go func() { result <- e.Shutdown(context.Background()) }()
	for e.Export(t.Context(), &metricdata.ResourceMetrics{}) == nil { // until Shutdown has begun
		continue
	}
	close(g.open)
	err := <-result
	for _, want := range []error{errPermanent, flush, down} {
		assert.ErrorIs(t, err, want)
	}
}

func TestFlushUnderWayEndsWithShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 10)
		inner := &metrictest.Exporter{OnExport: outage(causes)}
		e, _ := start(t, inner)
		export(t, e, 1, 2)
		result := make(chan error, 1)
		go func() { result <- e.ForceFlush(context.Background()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.Error(t, e.Shutdown(ctx))
		assert.ErrorIs(t, <-result, metric.ErrExporterShutdown, "what it waited for was dropped")
	})
}

func TestPanicsInForceFlushAndShutdownAreErrors(t *testing.T) {
	inner := &metrictest.Exporter{
		OnForceFlush: func(context.Context) error { panic("flush") },
		OnShutdown:   func(context.Context) error { panic("down") },
	}
	e, _ := start(t, inner)
	export(t, e, 1)
	assert.ErrorIs(t, e.ForceFlush(t.Context()), asyncmetric.ErrPanic)
	err := e.Shutdown(t.Context())
	assert.ErrorIs(t, err, asyncmetric.ErrPanic)
	assert.ErrorContains(t, err, "flush")
	assert.ErrorContains(t, err, "down")
	assertSettled(t, e.Stats())
}

// Shutdown does not say that all is well when the inner exporter has not ended.
func TestShutdownReportsAnInnerExporterThatDoesNotEnd(t *testing.T) {
	for _, method := range []string{"ForceFlush", "Shutdown"} {
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			stuck := func(context.Context) error { return g.pass(context.Background()) }
			inner := &metrictest.Exporter{OnForceFlush: stuck}
			if method == "Shutdown" {
				inner = &metrictest.Exporter{OnShutdown: stuck}
			}
			e, _ := start(t, inner)
			export(t, e, 1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := e.Shutdown(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded, method)
			assert.ErrorContains(t, err, "the inner exporter has not ended")
			close(g.open)
			elapse(time.Minute)
			assert.Equal(t, 1, inner.Count("Shutdown"))
			assert.Equal(t, metric.ErrExporterShutdown, e.Shutdown(ctx), "it has ended, and ctx too")
		})
	}
}

func TestShutdownCancelsAFlushOfTheInnerExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnForceFlush: func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		e, _ := start(t, inner)
		result := make(chan error, 1)
		go func() { result <- e.ForceFlush(context.Background()) }()
		synctest.Wait()
		export(t, e, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, e.Shutdown(ctx), context.DeadlineExceeded)
		assert.ErrorContains(t, <-result, "the time for Shutdown is over")
		assert.Equal(t, 1, inner.Count("Shutdown"))
		assertSettled(t, e.Stats())
	})
}

func TestShutdownSaysWhyNothingWasDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return refused }}
		e, _ := start(t, inner)
		export(t, e, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := e.Shutdown(ctx)
		assert.ErrorIs(t, err, refused)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// What is in flight when Shutdown is cancelled may still be delivered, but the
// inner exporter is not flushed any more.
func TestFlushThatShutdownPreventsIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, _ := start(t, inner)
		export(t, e, 1)
		result := make(chan error, 1)
		go func() { result <- e.ForceFlush(context.Background()) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, e.Shutdown(ctx), context.Canceled)
		close(g.open)
		assert.ErrorIs(t, <-result, metric.ErrExporterShutdown)
		assert.Zero(t, inner.Count("ForceFlush"))
		assert.Equal(t, uint64(1), e.Stats().Exported)
	})
}

func TestShutdownSaysWhatADurableQueueKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: outage(make(chan error, 10))}
		e, r := start(t, inner, asyncmetric.WithName("x"), asyncmetric.WithQueue(keeping(t)), asyncmetric.WithMaxExportBatchSize(2))
		for v := range int64(2) {
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(3, v)))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := e.Shutdown(ctx)
		var undelivered *asyncmetric.UndeliveredError
		require.ErrorAs(t, err, &undelivered)
		assert.Equal(t, 6, undelivered.Points)
		assert.True(t, undelivered.Kept)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualError(t, undelivered, "asyncmetric: exporter x has shut down: the queue keeps 6 data points for the next process: context deadline exceeded")
		assert.Empty(t, r.errors(), "nothing is lost")
		assert.Empty(t, r.dropped())
		assert.Equal(t, 6, e.Stats().Queued)
		assert.Zero(t, e.Stats().InFlight, "what was in flight has been returned")
	})
}

func TestShutdownOfAQueueThatDeliversItselfLeavesNothing(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner, asyncmetric.WithQueue(handing{keeping(t)}))
	export(t, e, 1, 2)
	assert.NoError(t, e.ForceFlush(t.Context()))
	shutdown(t, e, inner)
	assert.Zero(t, inner.Count("Export"))
	assert.Equal(t, uint64(2), e.Stats().Exported)
}

func TestShutdownCountsWhatIsUndeliveredAtOneInstant(t *testing.T) {
	for range 50 { // the last batch may end while Shutdown counts
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
				_ = g.pass(context.Background())
				return errTransient
			}}
			e, r := start(t, inner, asyncmetric.WithMaxExportBatchSize(1))
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(5, 1)))
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(4, 2)))
			<-g.arrived
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			time.AfterFunc(time.Second, func() { close(g.open) }) // as Shutdown ends
			var undelivered *asyncmetric.UndeliveredError
			require.ErrorAs(t, e.Shutdown(ctx), &undelivered)
			assert.Equal(t, 9, undelivered.Points)
			elapse(time.Second)
			assert.Equal(t, 9, r.dropped()[asyncmetric.ReasonShutdown])
		})
	}
}

func TestShutdownWithAnEndedContextStillShutsTheInnerExporterDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: outage(make(chan error, 10))}
		e, r := start(t, inner)
		export(t, e, 1, 2, 3)
		synctest.Wait()
		begin := time.Now()
		err := giveUp(e)
		assert.LessOrEqual(t, time.Since(begin), 100*time.Millisecond)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 1, inner.Count("Shutdown"))
		assert.Zero(t, inner.Count("ForceFlush"), "there is no time for it")
		assert.Equal(t, 3, r.dropped()[asyncmetric.ReasonShutdown])
		assert.ErrorIs(t, giveUp(e), metric.ErrExporterShutdown)
		assert.NotErrorIs(t, giveUp(e), context.Canceled, "it has ended, so there is nothing to wait for")
	})
}

func TestTheQueueIsClosedBeforeTheInnerExporter(t *testing.T) {
	inner := &metrictest.Exporter{}
	var before []string
	e, _ := start(t, inner, asyncmetric.WithQueue(closing{newQueue(t), func() { before = inner.Calls() }}))
	export(t, e, 1)
	shutdown(t, e, inner)
	assert.Equal(t, []string{"Export"}, before)
}

// A typed error of an exporter may panic when it is printed.
func TestErrorsOfFlushAndShutdownCanBePrinted(t *testing.T) {
	evil := func(context.Context) error { return panicky{errors.New("inside")} }
	inner := &metrictest.Exporter{OnForceFlush: evil, OnShutdown: evil}
	e, _ := start(t, inner)
	flushErr, downErr := e.ForceFlush(t.Context()), e.Shutdown(t.Context())
	assert.ErrorContains(t, flushErr, ": ForceFlush of the inner exporter: ")
	assert.ErrorContains(t, downErr, ": Shutdown of the inner exporter: ")
}

func TestShutdownKeepsTimeForTheShutdownOfTheInnerExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := time.Duration(0)
		inner := &metrictest.Exporter{
			OnForceFlush: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			OnShutdown: func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				left = time.Until(deadline)
				return nil
			},
		}
		e, _ := start(t, inner)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_ = e.Shutdown(ctx)
		assert.Positive(t, left)
	})
}

func TestShutdownKeepsATenthOfAShortTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: outage(make(chan error, 10))}
		e, _ := start(t, inner)
		export(t, e, 1)
		begin := time.Now()
		assert.ErrorIs(t, giveUpOf(e, 200*time.Millisecond), context.DeadlineExceeded)
		assert.Equal(t, 180*time.Millisecond, time.Since(begin))
	})
}

// Without retries, a shutdown while the backend is away leaves everything to the
// next process, instead of trying each batch once and dropping it.
func TestShutdownWithoutRetryLeavesTheRestToADurableQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
			return errors.Join(g.export(ctx, rm), errTransient)
		}}
		e, r := start(t, inner, asyncmetric.WithQueue(keeping(t)), asyncmetric.WithoutRetry())
		export(t, e, 1, 2)
		<-g.arrived
		result := make(chan error, 1)
		go func() { result <- e.Shutdown(t.Context()) }()
		synctest.Wait()
		close(g.open)
		err := <-result
		var undelivered *asyncmetric.UndeliveredError
		require.ErrorAs(t, err, &undelivered)
		assert.True(t, undelivered.Kept)
		assert.Equal(t, 2, undelivered.Points)
		assert.ErrorContains(t, undelivered, "retries are off")
		assert.ErrorIs(t, err, errTransient, "why the last attempt failed")
		assert.Equal(t, 1, inner.Count("Export"))
		assert.Empty(t, r.dropped())
		assert.Equal(t, 2, e.Stats().Queued)
	})
}

func TestShutdownKeepsItsContextWhereTheQueueDoesNotClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		release := make(chan struct{})
		q.close = func() error { <-release; return q.Queue.Close() }
		e, _ := start(t, &metrictest.Exporter{}, asyncmetric.WithQueue(q))
		defer close(release)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begin := time.Now()
		_ = e.Shutdown(ctx)
		assert.LessOrEqual(t, time.Since(begin), 3*time.Second)
	})
}

// Shutdown during a failing queue that recovers.
func TestShutdownDrainsAQueueThatWorksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		begin := time.Now()
		q.take = func(ctx context.Context, l queue.Limit) (queue.Entry, error) {
			if time.Since(begin) < 10*time.Minute+2*time.Second {
				return nil, errors.New("disk")
			}
			return q.Queue.Take(ctx, l)
		}
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithQueue(q), asyncmetric.WithRetry(asyncmetric.Retry{Jitter: -1}))
		export(t, e, 1)
		time.Sleep(time.Until(begin.Add(10 * time.Minute)))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		assert.NoError(t, e.Shutdown(ctx), "the queue works for 8 of the 10 seconds that Shutdown has")
	})
}

// A handler that blocks does not keep Shutdown.
func TestShutdownKeepsItsContextWhereTheErrorHandlerBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		g := newGate()
		e, err := asyncmetric.New(&metrictest.Exporter{OnExport: g.stuck},
			asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) { <-release })))
		require.NoError(t, err)
		export(t, e, 1)
		<-g.arrived
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		begin := time.Now()
		_ = e.Shutdown(ctx)
		assert.LessOrEqual(t, time.Since(begin), 2*time.Second)
		close(release)
		close(g.open)
		time.Sleep(50 * time.Millisecond)
	})
}

// The hook of an Export that drops something else may take its time.
func TestShutdownCountsWhatItDropsWhileAnExportTellsOfItsDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := newGate()
		var told atomic.Int64
		inner := &metrictest.Exporter{}
		e, g := held(t, inner, asyncmetric.WithMaxQueueSize(2), asyncmetric.WithOverflow(queue.DropOldest),
			asyncmetric.WithOnDrop(func(d asyncmetric.Drop) {
				if d.Reason == asyncmetric.ReasonShutdown {
					told.Add(int64(d.Points))
				} else {
					_ = hook.pass(context.Background())
				}
			}))
		export(t, e, 1, 2)
		exported := make(chan error, 1)
		go func() { exported <- e.Export(t.Context(), metrictest.Numbers(1, 3)) }()
		<-hook.arrived
		var undelivered *asyncmetric.UndeliveredError
		require.ErrorAs(t, giveUp(e), &undelivered)
		assert.Equal(t, int64(2), told.Load(), "2 and 3, which waited")
		assert.Equal(t, 3, undelivered.Points, "and 0, which the inner exporter has")
		close(hook.open)
		require.NoError(t, <-exported)
		close(g.open)
		synctest.Wait()
		assertSettled(t, e.Stats())
	})
}
