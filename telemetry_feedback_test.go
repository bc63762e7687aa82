package asyncmetric_test

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// own collects the metrics of an exporter about itself for the reader that
// hands them to the same exporter.
type own struct{ *metric.ManualReader }

func (o own) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	var rm metricdata.ResourceMetrics
	err := o.Collect(ctx, &rm)
	return rm.ScopeMetrics, err
}

// sizes returns how many points the collections have.
func sizes(rms []*metricdata.ResourceMetrics) []int {
	n := make([]int, len(rms))
	for i, rm := range rms {
		n[i] = batch.Points(rm)
	}
	return n
}

func TestTelemetryThroughItsOwnExporterDoesNotGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			switch calls++; {
			case calls == 50:
				return errPermanent
			case calls > 100 && calls < 200:
				return errTransient // 99 times, which takes 395 s
			default:
				return nil
			}
		}}
		m := newMeters()
		e, _ := start(t, inner, fixed, m.option(), asyncmetric.WithMaxQueueSize(100))
		reader := metric.NewPeriodicReader(e, metric.WithInterval(time.Second), metric.WithProducer(own{m.reader}))
		provider := metric.NewMeterProvider(metric.WithReader(reader))
		for range 1000 {
			elapse(time.Second)
			s := e.Stats()
			require.LessOrEqual(t, s.Queued-s.InFlight, 100)
		}
		assert.Positive(t, e.Stats().Coalesced, "the queue was full meanwhile")
		require.NoError(t, provider.Shutdown(t.Context()))

		// What is observed, the counts of points exported and failed, two
		// durations, the latency, drops and retries.
		n := sizes(inner.Delivered())
		assert.Equal(t, 6, n[0])
		assert.Equal(t, 6+2+2+1+1+1, n[len(n)-1])
		assert.Equal(t, n[len(n)-1], slices.Max(n[len(n)-500:]))
		assertSettled(t, e.Stats())
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// The MeterProvider of the application needs the exporter, which needs the
// MeterProvider. The global one is there before.
func TestTelemetryThroughTheGlobalProvider(t *testing.T) {
	const inChild = "ASYNCMETRIC_TEST_GLOBAL_PROVIDER"
	if os.Getenv(inChild) == "" { // since it can be set with effect only once
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), inChild+"=1")
		output, err := child.CombinedOutput()
		require.NoError(t, err, "%s", output)
		return
	}
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithMeterProvider(otel.GetMeterProvider()))
		provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(e)))
		otel.SetMeterProvider(provider)
		elapse(1000 * time.Minute)
		n := sizes(inner.Delivered())
		require.Len(t, n, 1000)
		assert.Equal(t, 6, n[0], "what is observed")
		assert.Equal(t, slices.Repeat([]int{9}, 999), n[1:], "and the count, duration and latency of what was exported")
		require.NoError(t, provider.Shutdown(t.Context()))
		assertSettled(t, e.Stats())
	})
}
