package asyncmetric_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

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
