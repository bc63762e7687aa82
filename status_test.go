package asyncmetric_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestStatusFollowsTheLifeOfAnExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient, errTransient, nil)}
		inner.OnShutdown = g.pass
		e, _ := start(t, inner, fixed, asyncmetric.WithMaxQueueSize(77), asyncmetric.WithMaxQueueBytes(1<<30))
		s := e.Status()
		assert.Equal(t, asyncmetric.StateIdle, s.State)
		assert.Equal(t, 77, s.Capacity)
		assert.Equal(t, int64(1<<30), s.CapacityBytes)
		assert.Empty(t, s.Errors)

		export(t, e, 1)
		synctest.Wait()
		begin := time.Now()
		s = e.Status()
		assert.Equal(t, asyncmetric.StateBackingOff, s.State)
		assert.Equal(t, begin.Add(time.Second), s.RetryAt)
		assert.Contains(t, s.RetryError, errTransient.Error())
		assert.Equal(t, 1, s.Stats.Queued)

		elapse(time.Second)
		assert.Equal(t, begin.Add(3*time.Second), e.Status().RetryAt, "the second delay is twice the first")
		elapse(2 * time.Second)
		s = e.Status()
		assert.Equal(t, asyncmetric.StateIdle, s.State)
		assert.Zero(t, s.RetryAt)
		assert.Empty(t, s.RetryError)
		require.Len(t, s.Errors, 2)
		assert.Equal(t, begin, s.Errors[1].Time)

		down := make(chan error, 1)
		go func() { down <- e.Shutdown(t.Context()) }()
		synctest.Wait()
		assert.Equal(t, asyncmetric.StateDraining, e.Status().State)
		close(g.open)
		require.NoError(t, <-down)
		assert.Equal(t, asyncmetric.StateShutDown, e.Status().State)
	})
}

func TestStatusIsDeliveringDuringAnAttempt(t *testing.T) {
	g := newGate()
	inner := &metrictest.Exporter{OnExport: g.stuck}
	e, _ := start(t, inner)
	export(t, e, 1)
	<-g.arrived
	assert.Equal(t, asyncmetric.StateDelivering, e.Status().State)
	close(g.open)
	shutdown(t, e, inner)
}

func TestStatusShowsTheReplicaWhoseTurnComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(3)
		for i, inner := range inner {
			var at []time.Duration
			inner.OnExport = failing(&at, hint{[]time.Duration{8, 7, 9}[i] * time.Second})
		}
		e, _ := start(t, inner[0], opt, asyncmetric.WithMaxExportBatchSize(1), asyncmetric.WithRetry(asyncmetric.Retry{
			Jitter: -1,
			Classify: func(err error) asyncmetric.Verdict {
				return asyncmetric.Verdict{Action: asyncmetric.ActionRetry, After: err.(hint).after}
			},
		}))
		begin := time.Now()
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(3, 1)))
		synctest.Wait()
		s := e.Status()
		assert.Equal(t, begin.Add(7*time.Second), s.RetryAt)
		assert.Equal(t, "not before 7s", s.RetryError)
		elapse(time.Minute)
		shutdownAll(t, e, inner)
	})
}

func TestStatusKeepsTheLastErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		inner := &metrictest.Exporter{}
		inner.OnExport = func(context.Context, *metricdata.ResourceMetrics) error {
			calls++
			return fmt.Errorf("error %d %s%w", calls, strings.Repeat("é", 5000), errPermanent)
		}
		e, r := start(t, inner)
		for v := range int64(20) {
			export(t, e, v)
			elapse(time.Minute)
		}
		errs := e.Status().Errors
		require.Len(t, errs, 16)
		for i, reported := range errs {
			assert.Contains(t, reported.Message, fmt.Sprintf("error %d ", 20-i), "the newest first")
			assert.Less(t, len(reported.Message), 2100, "however long the error is")
			assert.True(t, utf8.ValidString(reported.Message))
		}
		assert.Len(t, r.errors(), 20, "the handler gets all of them")
		shutdown(t, e, inner)
	})
}

func TestStatusSurvivesAnErrorThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			return panicky{errors.New("inside")}
		}}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{
			Classify: func(error) asyncmetric.Verdict { return asyncmetric.Verdict{Action: asyncmetric.ActionRetry} },
		}))
		export(t, e, 1)
		synctest.Wait()
		s := e.Status()
		assert.Equal(t, asyncmetric.StateBackingOff, s.State)
		assert.Contains(t, s.RetryError, "whose method Error panics")
		assert.Len(t, s.Errors, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.Error(t, e.Shutdown(ctx))
	})
}

func TestStatusNamesTheSettings(t *testing.T) {
	value := func(s asyncmetric.Status, name string) string {
		for _, setting := range s.Settings {
			if setting.Name == name {
				return setting.Value
			}
		}
		return "missing"
	}
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner)
	s := e.Status()
	for name, want := range map[string]string{
		"exporter":               "*metrictest.Exporter",
		"WithMaxQueueBytes":      "67108864",
		"WithMaxQueueSize":       "off",
		"WithOverflow":           "Coalesce",
		"WithMaxExportBatchSize": "8192",
		"WithMerging":            "off",
		"WithExportTimeout":      "30s",
		"WithDrainTimeout":       "30s",
		"WithRetry":              "1s to 30s, x1.5, ±50 %, no limit",
		"WithMaxAge":             "off",
		"WithMinInterval":        "off",
		"WithReplicas":           "off",
		"WithMeterProvider":      "off",
		"WithQueue":              "missing",
	} {
		assert.Equal(t, want, value(s, name), name)
	}
	assert.Zero(t, s.Capacity, "no bound in points")
	assert.Equal(t, int64(queue.DefaultMaxBytes), s.CapacityBytes)
	shutdown(t, e, inner)

	q, err := queue.NewMemory(queue.Bound{Points: 5}, queue.Block)
	require.NoError(t, err)
	e, _ = start(t, inner, asyncmetric.WithQueue(q), asyncmetric.WithoutRetry(), asyncmetric.WithMerging(time.Second),
		asyncmetric.WithMaxAge(time.Hour), asyncmetric.WithMinInterval(time.Minute),
		asyncmetric.WithReplicas(&metrictest.Exporter{}, &metrictest.Exporter{}),
		asyncmetric.WithMeterProvider(noop.NewMeterProvider()))
	s = e.Status()
	for name, want := range map[string]string{
		"WithQueue":         "*queue.Memory",
		"WithMaxQueueBytes": "missing",
		"WithMaxQueueSize":  "missing",
		"WithRetry":         "off",
		"WithMerging":       "1s",
		"WithMaxAge":        "1h0m0s",
		"WithMinInterval":   "1m0s",
		"WithReplicas":      "2",
		"WithMeterProvider": "on",
	} {
		assert.Equal(t, want, value(s, name), name)
	}
	assert.Equal(t, 5, s.Capacity)
	require.NoError(t, e.Shutdown(t.Context()))
}

func TestStatusHasTheBytesOfTheQueue(t *testing.T) {
	inner := &metrictest.Exporter{}
	q := &weighed{Queue: newQueue(t), counts: true}
	q.bytes.Store(700)
	q.exemplars.Store(3)
	e, _ := start(t, inner, asyncmetric.WithQueue(q))
	s := e.Status()
	assert.Equal(t, int64(700), s.Stats.Bytes)
	assert.Equal(t, uint64(3), s.Stats.Exemplars)
	assert.Equal(t, int64(1000), s.CapacityBytes)
	assert.True(t, s.CountsBytes)
	assert.Equal(t, s.Stats, e.Stats())
	q.bytes.Store(0)
	shutdown(t, e, inner)
}

func TestStatusDoesNotClaimBytesOfAQueueThatDoesNotKnow(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner, asyncmetric.WithQueue(&weighed{Queue: newQueue(t)}))
	assert.Equal(t, int64(1000), e.Status().CapacityBytes)
	assert.False(t, e.Status().CountsBytes)
	shutdown(t, e, inner)
}

func TestExportersHaveNamesOfTheirOwn(t *testing.T) {
	inner := &metrictest.Exporter{}
	a, _ := start(t, inner)
	b, _ := start(t, &metrictest.Exporter{})
	assert.NotEqual(t, a.Status().Name, b.Status().Name)
	assert.True(t, strings.HasPrefix(a.Status().Name, "github.com/asyncmetric/asyncmetric.Exporter/"))
	require.NoError(t, errors.Join(a.Shutdown(t.Context()), b.Shutdown(t.Context())))
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

// A flush does not cut short a delay that the server asked for, and Status goes
// on to say so.
func TestStatusIsBackingOffWhileAFlushWaitsForADelayOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, hint{10 * time.Second})}
		e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{Jitter: -1, Classify: asHint}))
		begin := time.Now()
		export(t, e, 1)
		elapse(time.Second)
		flushed := make(chan error, 1)
		go func() { flushed <- e.ForceFlush(t.Context()) }()
		synctest.Wait()
		s := e.Status()
		assert.Equal(t, asyncmetric.StateBackingOff, s.State)
		assert.Equal(t, begin.Add(10*time.Second), s.RetryAt)
		assert.NoError(t, <-flushed)
		shutdown(t, e, inner)
	})
}

func TestStatusShowsTheDelayThatAFlushLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errTransient }}
		e, _ := start(t, inner, asyncmetric.WithMinInterval(time.Minute),
			asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Hour, Jitter: -1}))
		export(t, e, 1)
		elapse(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_ = e.ForceFlush(ctx)
		at := e.Status().RetryAt
		assert.Equal(t, 57*time.Second, time.Until(at), "what is left of the interval, which a flush does not cut short")
		elapse(time.Until(at) - 1)
		assert.Len(t, inner.Attempts(), 1)
		elapse(1)
		assert.Len(t, inner.Attempts(), 2)
		ctx2, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		_ = e.Shutdown(ctx2)
	})
}
