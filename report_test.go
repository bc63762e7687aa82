package asyncmetric_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestDropsOfOneReasonAreReportedAtMostEveryTenSecondsWithTheirSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, r := start(t, inner, asyncmetric.WithName("x"), asyncmetric.WithMaxQueueSize(1), asyncmetric.WithOverflow(queue.DropOldest))
		export(t, e, 1)
		<-g.arrived
		for range 21 { // the first waits, 20 are dropped
			time.Sleep(1100 * time.Millisecond)
			export(t, e, 2)
		}
		assert.Equal(t, 20, r.dropped()[asyncmetric.ReasonOverflow], "the hook gets each")
		assert.Equal(t, uint64(20), e.Stats().Dropped)
		close(g.open)
		shutdown(t, e, inner)
		assert.Equal(t, []string{
			"asyncmetric: 1 data point dropped (overflow) by exporter x: queue is full",
			"asyncmetric: 9 data points dropped (overflow) by exporter x: queue is full (the last of 9 since the last report)",
			"asyncmetric: 9 data points dropped (overflow) by exporter x: queue is full (the last of 9 since the last report)",
			"asyncmetric: 1 data point dropped (overflow) by exporter x: queue is full",
		}, r.texts())
	})
}

func TestTheLastDropsOfASeriesAreReportedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.export}
		e, r := start(t, inner, asyncmetric.WithMaxQueueSize(1), asyncmetric.WithOverflow(queue.DropOldest))
		for v := range int64(100) {
			export(t, e, v)
		}
		assert.Len(t, r.errors(), 1)
		elapse(10 * time.Second)
		assert.Len(t, r.errors(), 2)
		assert.Equal(t, r.dropped()[asyncmetric.ReasonOverflow], reported(r))
		close(g.open)
		shutdown(t, e, inner)
		assert.Len(t, r.errors(), 2)
	})
}

func TestABacklogThatIsRefusedIsReportedInAFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errPermanent }}
		e, g := held(t, inner, asyncmetric.WithName("x"))
		for v := range int64(700) {
			export(t, e, v+1)
		}
		close(g.open)
		synctest.Wait()
		assert.Equal(t, uint64(700), e.Stats().Dropped)
		assert.Len(t, e.Status().Errors, 1)
		elapse(time.Minute)
		assert.Len(t, e.Status().Errors, 2)
		assert.Contains(t, e.Status().Errors[0].Message, "asyncmetric: 699 data points dropped (permanent) by exporter x")
		shutdown(t, e, inner)
	})
}

func TestReasonsAreReportedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
			_ = g.pass(ctx)
			return errPermanent
		}}
		e, r := start(t, inner, asyncmetric.WithMaxQueueSize(1), asyncmetric.WithOverflow(queue.DropOldest))
		export(t, e, 1)
		<-g.arrived
		export(t, e, 2, 3)
		close(g.open)
		elapse(time.Second)
		require.Len(t, r.errors(), 2)
		assert.ErrorContains(t, r.errors()[0], "1 data point dropped (overflow)")
		assert.ErrorContains(t, r.errors()[1], "1 data point dropped (permanent)")
		shutdown(t, e, inner)
	})
}

func TestAnOutageIsReportedWhenItBeginsAtGrowingIntervalsAndWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			if down.Load() {
				return errTransient
			}
			return nil
		}}
		e, r := start(t, inner, asyncmetric.WithName("x"), asyncmetric.WithMaxQueueSize(100))
		begin := time.Now()
		var after []time.Duration
		for range 3*60 + 30 {
			export(t, e, 1)
			elapse(time.Minute)
			for len(after) < len(r.errors()) {
				after = append(after, time.Since(begin))
			}
		}
		m := time.Minute
		assert.Equal(t, []time.Duration{m, m, 10 * m, 60 * m, 120 * m, 180 * m}, after, "in the minute after which it was there")
		texts := r.texts()
		assert.Equal(t, "asyncmetric: exporter x: export of 1 data point failed and is retried: "+errTransient.Error(), texts[0])
		assert.Equal(t, "asyncmetric: exporter x: exports have failed for 1m0s: 1 data point waits, 0 data points are lost: "+
			errTransient.Error(), texts[1])
		assert.Equal(t, "asyncmetric: exporter x: exports have failed for 2h0m0s: 89 data points wait, 0 data points are lost, "+
			"resolution is being lost: 31 data points became part of others: "+errTransient.Error(), texts[4])

		down.Store(false)
		elapse(time.Minute)
		texts = r.texts()[6:]
		assert.Equal(t, []string{"asyncmetric: exporter x: the outage is over after " +
			overDuration(r) + ": 89 data points were delivered, 0 data points were lost, " +
			"resolution was lost: 121 data points became part of others"}, texts)
		elapse(24 * time.Hour)
		assert.Len(t, r.errors(), 7, "nothing is said of what is over")
		shutdown(t, e, inner)
	})
}

// overDuration returns the duration of the outage whose end was reported last.
func overDuration(r *record) string {
	var outage *asyncmetric.OutageError
	for _, err := range r.errors() {
		errors.As(err, &outage)
	}
	return outage.Duration.Round(time.Millisecond).String()
}

func TestAnOutageErrorSaysWhetherTheOutageIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient)}
		e, r := start(t, inner, fixed, asyncmetric.WithName("x"))
		export(t, e, 1)
		elapse(time.Minute)
		require.Len(t, r.errors(), 2)
		var begun, over *asyncmetric.OutageError
		require.ErrorAs(t, r.errors()[0], &begun)
		require.ErrorAs(t, r.errors()[1], &over)
		assert.Equal(t, "x", begun.Exporter)
		assert.False(t, begun.Over)
		assert.ErrorIs(t, begun, errTransient)
		assert.True(t, over.Over)
		assert.Equal(t, time.Second, over.Duration)
		assert.NoError(t, over.Err)
		shutdown(t, e, inner)
	})
}

func TestAnOutageIsOverWhenWhatWaitedIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			if down.Load() {
				return errTransient
			}
			time.Sleep(time.Second)
			return nil
		}}
		e, r := start(t, inner, fixed)
		for v := range int64(10) {
			export(t, e, v)
		}
		elapse(30 * time.Second)
		require.Len(t, r.errors(), 1)
		down.Store(false)
		elapse(9 * time.Second)
		assert.Len(t, r.errors(), 1, "some of it still waits")
		export(t, e, 10) // is not part of it
		elapse(5 * time.Second)
		require.Len(t, r.errors(), 2)
		assert.ErrorContains(t, r.errors()[1], "is over")
		shutdown(t, e, inner)
	})
}

func TestABackendThatFailsAgainAndAgainIsNotReportedEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := false
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			if fails = !fails; fails { // each second attempt succeeds
				return errTransient
			}
			return nil
		}}
		e, r := start(t, inner, fixed)
		for range 60 {
			export(t, e, 1)
			elapse(10 * time.Second)
		}
		assert.Equal(t, uint64(60), e.Stats().Retries)
		assert.LessOrEqual(t, len(r.errors()), 2*10, "two lines a minute at most")
		assert.NotEmpty(t, r.errors())
		shutdown(t, e, inner)
	})
}

func TestPanicsOfHooksAreReportedAndEndNothing(t *testing.T) {
	for name, end := range map[string]func(){
		"panic":  func() { panic("hook") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
					if metrictest.Value(rm) == 1 {
						return errPermanent
					}
					return nil
				}}
				handled := 0
				e, err := asyncmetric.New(inner,
					asyncmetric.WithOnDrop(func(asyncmetric.Drop) { end() }),
					asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) { handled++; end() })))
				require.NoError(t, err)
				export(t, e, 1, 2)
				elapse(time.Second)
				assert.Equal(t, uint64(1), e.Stats().Exported)
				assert.Equal(t, uint64(1), e.Stats().Dropped)
				assert.Equal(t, 2, handled, "the drop, and what the hook did")
				var messages []string
				for _, reported := range e.Status().Errors {
					messages = append(messages, reported.Message)
				}
				assert.Contains(t, strings.Join(messages, "\n"), "in the function of WithOnDrop")
				assert.Contains(t, strings.Join(messages, "\n"), "in the error handler")
				shutdown(t, e, inner)
			})
		})
	}
}

func TestPanicsOfInstrumentsAreReportedOnceAndEndNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		e, r := start(t, inner, asyncmetric.WithMeterProvider(panickyProvider{}))
		export(t, e, 1, 2, 3)
		elapse(time.Second)
		assert.Equal(t, uint64(3), e.Stats().Exported)
		require.NotEmpty(t, r.errors())
		assert.LessOrEqual(t, len(r.errors()), 3, "%v", r.texts())
		for _, err := range r.errors() {
			assert.ErrorIs(t, err, asyncmetric.ErrPanic)
		}
		shutdown(t, e, inner)
	})
}

func TestADropNamesItsExporterAndItsPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
			_ = g.pass(ctx)
			return errPermanent
		}}
		e, r := start(t, inner, asyncmetric.WithName("x"), asyncmetric.WithMaxQueueSize(1), asyncmetric.WithOverflow(queue.DropOldest))
		export(t, e, 1)
		<-g.arrived
		export(t, e, 2, 3)
		close(g.open)
		shutdownFailing(t, e)
		var got []string
		for _, d := range r.drops {
			got = append(got, fmt.Sprintf("%s %s at %d", d.Exporter, d.Reason, d.Position))
		}
		assert.Equal(t, []string{"x overflow at 2", "x permanent at 1", "x permanent at 3"}, got)
	})
}

func TestNothingIsReportedAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errTransient }}
		e, r := start(t, inner, asyncmetric.WithMaxQueueSize(1), asyncmetric.WithOverflow(queue.DropOldest))
		export(t, e, 1, 2, 3, 4)
		elapse(time.Second)
		require.Error(t, giveUp(e))
		n := len(r.errors())
		elapse(24 * time.Hour)
		assert.Len(t, r.errors(), n)
		assert.Equal(t, int(e.Stats().Dropped), reported(r)+undeliveredPoints(r), "each drop has been reported")
	})
}

func undeliveredPoints(r *record) int {
	for _, err := range r.errors() {
		var undelivered *asyncmetric.UndeliveredError
		if errors.As(err, &undelivered) {
			return undelivered.Points
		}
	}
	return 0
}

// panickyProvider makes instruments that panic.
type panickyProvider struct{ embedded.MeterProvider }

func (panickyProvider) Meter(string, ...apimetric.MeterOption) apimetric.Meter {
	return panickyMeter{noop.Meter{}}
}

type panickyMeter struct{ apimetric.Meter }

func (panickyMeter) Float64Histogram(string, ...apimetric.Float64HistogramOption) (apimetric.Float64Histogram, error) {
	return panickyHistogram{}, nil
}

type panickyHistogram struct{ noop.Float64Histogram }

func (panickyHistogram) Record(context.Context, float64, ...apimetric.RecordOption) {
	panic("instrument")
}

func TestWarningsOfTheBackendAreReportedAtABearableRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			return &asyncmetric.RejectedError{Err: errors.New("a label is deprecated")}
		}}
		e, r := start(t, inner, asyncmetric.WithName("x"))
		for range 100 {
			export(t, e, 1)
			elapse(time.Second)
		}
		assert.LessOrEqual(t, len(r.errors()), 11)
		assert.Equal(t, "asyncmetric: exporter x: exported, with a warning: 0 data points rejected: a label is deprecated", r.texts()[0])
		assert.Equal(t, uint64(100), e.Stats().Exported)
		shutdown(t, e, inner)
	})
}

// reentrant is an error whose text needs the exporter.
type reentrant struct{ text func() string }

func (e reentrant) Error() string { return e.text() }

func TestTheTextOfAnErrorMayUseTheExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started *asyncmetric.Exporter
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			return errors.Join(errPermanent, reentrant{func() string { return fmt.Sprint(started.Status().State) }})
		}}
		e, r := start(t, inner)
		started = e
		export(t, e, 1, 2)
		elapse(time.Minute)
		assert.NotEmpty(t, r.errors())
		shutdown(t, e, inner)
	})
}

func TestTheHookFindsADropCounted(t *testing.T) {
	inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
		return fmt.Errorf("refused: %w", errPermanent)
	}}
	var e *asyncmetric.Exporter
	var told []asyncmetric.Drop
	started := make(chan struct{})
	e, err := asyncmetric.New(inner, append((&record{}).options(), asyncmetric.WithMaxExportBatchSize(2),
		asyncmetric.WithOnDrop(func(d asyncmetric.Drop) {
			<-started
			told = append(told, d)
			assert.Equal(t, uint64(4), e.Stats().Dropped)
			assert.Zero(t, e.Stats().Queued)
		}))...)
	require.NoError(t, err)
	close(started)
	require.NoError(t, e.Export(t.Context(), metrictest.Numbers(4, 1)))
	_ = e.Shutdown(t.Context())
	assert.Len(t, told, 2, "one for each batch, since each has an error of its own")
}

func TestAnOutageIsReportedWhileNoAttemptIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errTransient }}
		e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: 24 * time.Hour, Jitter: -1}))
		export(t, e, 1)
		for reports, after := range []time.Duration{0, time.Minute, 9 * time.Minute, 50 * time.Minute, time.Hour, time.Hour} {
			if after > 0 {
				elapse(after - 1)
				assert.Len(t, r.errors(), reports)
			}
			elapse(min(1, after))
			assert.Len(t, r.errors(), 1+reports)
		}
		assert.Equal(t, 1, inner.Count("Export"))
		require.Error(t, giveUp(e))
	})
}

// One timer serves reports of all kinds: each comes at its own time.
func TestDropsAreReportedInTimeDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
			if metrictest.Value(rm) < 10 {
				return errTransient
			}
			return errPermanent
		}}
		e, r := start(t, inner, asyncmetric.WithMaxQueueSize(1), asyncmetric.WithOverflow(queue.DropOldest),
			asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: 24 * time.Hour, Jitter: -1}))
		export(t, e, 1)
		synctest.Wait()
		require.Len(t, r.errors(), 1, "the begin of the outage; the next report of it comes after a minute")
		export(t, e, 2, 3, 4, 5)
		assert.Len(t, r.errors(), 2)
		elapse(10*time.Second - 1)
		assert.Len(t, r.errors(), 2)
		elapse(1)
		require.Len(t, r.errors(), 3)
		assert.ErrorContains(t, r.errors()[2], "2 data points dropped (overflow)")
		elapse(50 * time.Second)
		require.Len(t, r.errors(), 4)
		assert.ErrorContains(t, r.errors()[3], "exports have failed for 1m0s")
		require.Error(t, giveUp(e))
	})
}

func TestEachReasonIsReportedAtItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errPermanent }}
		e, g := held(t, inner, asyncmetric.WithMaxQueueSize(1), asyncmetric.WithOverflow(queue.DropOldest))
		r := func() int { return len(e.Status().Errors) }
		export(t, e, 1, 2, 3)
		assert.Equal(t, 1, r(), "the second drop by overflow waits until 10 s")
		elapse(5 * time.Second)
		close(g.open)
		synctest.Wait()
		export(t, e, 4)
		synctest.Wait()
		assert.Equal(t, 2, r(), "the second that was refused waits until 15 s")
		elapse(5 * time.Second)
		assert.Equal(t, 3, r())
		elapse(5 * time.Second)
		assert.Equal(t, 4, r())
		shutdown(t, e, inner)
	})
}

func TestAnOutageGoesOnWhenItsBacklogFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			time.Sleep(time.Second)
			if attempts++; attempts == 1 || attempts == 3 {
				return errTransient // the first attempt of 1 and of 2
			}
			return nil
		}}
		e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Second, Jitter: -1}))
		export(t, e, 1, 2, 3) // attempts end at 1, 3, 4, 6 and 7 s
		elapse(3500 * time.Millisecond)
		export(t, e, 4) // its attempt ends at 8 s
		elapse(4 * time.Second)
		assert.Equal(t, uint64(3), e.Stats().Exported)
		assert.Len(t, r.errors(), 1, "4 waited when the second failure was over")
		elapse(time.Second)
		require.Len(t, r.errors(), 2)
		assert.ErrorContains(t, r.errors()[1], "the outage is over after 7s")
		shutdown(t, e, inner)
	})
}

// A handler that the timer calls has returned when Shutdown does, if the context
// of Shutdown lasts that long.
func TestShutdownWaitsForTheErrorHandlerWithinItsContext(t *testing.T) {
	for patience, waits := range map[time.Duration]bool{time.Second: false, time.Minute: true} {
		synctest.Test(t, func(t *testing.T) {
			var called, returned atomic.Int64
			g := newGate()
			inner := &metrictest.Exporter{OnExport: g.stuck}
			e, err := asyncmetric.New(inner, asyncmetric.WithMaxQueueSize(1), asyncmetric.WithOverflow(queue.DropOldest),
				asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {
					if called.Add(1) == 2 {
						time.Sleep(10 * time.Second)
					}
					returned.Add(1)
				})))
			require.NoError(t, err)
			export(t, e, 1)
			synctest.Wait()
			export(t, e, 2, 3, 4) // one drop is reported now, the other after 10 s
			elapse(10 * time.Second)
			require.Equal(t, int64(2), called.Load())
			close(g.open)
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_ = e.Shutdown(ctx)
			assert.LessOrEqual(t, time.Since(begin), patience)
			if waits {
				assert.Equal(t, called.Load(), returned.Load())
			}
			elapse(time.Minute)
		})
	}
}

func TestNoReminderSaysThatExportsFailWhileTheySucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			if time.Since(begin) < 20*time.Second {
				return errTransient
			}
			return nil
		}}
		e, r := start(t, inner, fixed, asyncmetric.WithMinInterval(10*time.Second))
		for i := range int64(200) {
			export(t, e, i)
		}
		elapse(15 * time.Minute) // exports succeed since 20 s
		for _, err := range r.errors() {
			var o *asyncmetric.OutageError
			if errors.As(err, &o) && !o.Over && o.Duration > 30*time.Second {
				t.Errorf("%v, but they have succeeded since 20s", err)
			}
		}
		assert.Greater(t, len(inner.Delivered()), 50)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = e.Shutdown(ctx)
	})
}

func TestPanicsOfTheHookAreReportedAtABearableRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errPermanent }}
		e, r := start(t, inner, asyncmetric.WithOnDrop(func(asyncmetric.Drop) { panic("hook") }))
		for i := range int64(700) {
			export(t, e, i)
		}
		synctest.Wait()
		assert.Less(t, len(r.errors()), 20)
		_ = e.Shutdown(t.Context())
	})
}

func TestNoReminderGivesAReasonThatIsPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			if time.Since(begin) < 20*time.Second {
				return errTransient
			}
			return errPermanent // such as 401
		}}
		e, r := start(t, inner, fixed)
		for i := range int64(120) {
			export(t, e, i)
			elapse(time.Minute)
		}
		for _, err := range r.errors() {
			var o *asyncmetric.OutageError
			if errors.As(err, &o) && !o.Over && o.Duration > time.Minute && !errors.Is(err, errPermanent) {
				t.Errorf("%v", err)
			}
		}
		_ = e.Shutdown(t.Context())
	})
}

func TestNoReminderComesWhileNothingIsToBeExported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			return errTransient
		}}
		e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{MaxElapsedTime: 10 * time.Second}))
		export(t, e, 1)
		elapse(5 * time.Hour)
		for _, err := range r.errors() {
			var o *asyncmetric.OutageError
			if errors.As(err, &o) && !o.Over && o.Duration > time.Minute {
				t.Errorf("nothing waits, the last attempt was 10s after the first: %v", err)
			}
		}
		_ = e.Shutdown(t.Context())
	})
}

func TestABrokenReplicaIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		broken := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errTransient }}
		e, r := start(t, inner, fixed, asyncmetric.WithReplicas(broken), asyncmetric.WithMaxExportBatchSize(1))
		for range 24 * 40 {
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(2, 1)))
			elapse(90 * time.Second)
		}
		errs := r.errors()
		t.Logf("%d lines, such as %v; %v", len(errs), errs[len(errs)-2], errs[len(errs)-1])
		assert.Less(t, len(errs), 100)
		_ = e.Shutdown(t.Context())
	})
}

func TestAQueueThatFailsForADayIsReportedAtGrowingIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		q.take = func(ctx context.Context, l queue.Limit) (queue.Entry, error) { return nil, errors.New("disk") }
		e, r := start(t, &metrictest.Exporter{}, asyncmetric.WithQueue(q))
		export(t, e, 1)
		elapse(24 * time.Hour)
		assert.Less(t, len(r.errors()), 100)
		ctx2, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		_ = e.Shutdown(ctx2)
	})
}

// No lock is held while the error handler runs.
func TestAnErrorHandlerThatBlocksHoldsUpOnlyWhatCallsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newPanickyQueue(t, "")
		g := newGate()
		e, err := asyncmetric.New(&metrictest.Exporter{}, asyncmetric.WithQueue(q),
			asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) { _ = g.pass(context.Background()) })))
		require.NoError(t, err)
		synctest.Wait()
		q.in.Store("Stats")
		ended := make(chan error, 2)
		flush := func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			ended <- e.ForceFlush(ctx)
		}
		go flush()
		elapse(time.Second)
		q.in.Store("")
		go func() { _ = e.Export(t.Context(), metrictest.Numbers(1, 1)) }() // reports the panic
		<-g.arrived
		go flush()
		elapse(5 * time.Second)
		assert.Len(t, ended, 2, "flushes that have returned within their context")
		_, _ = e.Stats(), e.Status()
		close(g.open)
		assert.NoError(t, e.Shutdown(t.Context()))
	})
}

func TestTheErrorHandlerMayCallStatsOfAQueueThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newPanickyQueue(t, "")
		var calls atomic.Int64
		var started atomic.Pointer[asyncmetric.Exporter]
		e, err := asyncmetric.New(&metrictest.Exporter{}, asyncmetric.WithQueue(q),
			asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {
				if calls.Add(1) < 1000 { // for the stack has an end
					started.Load().Stats()
				}
			})))
		require.NoError(t, err)
		started.Store(e)
		synctest.Wait()
		q.in.Store("Stats")
		e.Stats()
		export(t, e, 1) // reports it
		elapse(time.Second)
		assert.NotZero(t, calls.Load())
		assert.Less(t, calls.Load(), int64(10), "one report leads to the next")
		q.in.Store("")
		assert.NoError(t, e.Shutdown(t.Context()))
	})
}
