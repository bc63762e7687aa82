package asyncmetric_test

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelmetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// isRace reports whether the race detector is on, which makes everything ten times
// as slow.
func isRace() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// An outage of 10 000 collections, which at one a minute is a week (of ten weeks
// at full length), with the real SDK: every count arrives, memory does not grow,
// and all of the outage is there at the same resolution.
func TestOutageOfAnyLengthLosesNoTotals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			series  = 5
			waiting = 50
		)
		collections := 10_000
		if metrictest.Long() && !isRace() {
			collections = 100_000
		}
		down := true
		inner := &metrictest.Exporter{OnTemporality: deltas}
		exporter := sparing{inner, &down}
		r := &record{}
		e, err := asyncmetric.New(exporter, append(r.options(),
			asyncmetric.WithMaxQueueSize(waiting*2*series), asyncmetric.WithDrainTimeout(time.Hour),
			asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {})))...) // it would keep a reminder an hour
		require.NoError(t, err)
		provider := metric.NewMeterProvider(metric.WithReader(
			metric.NewPeriodicReader(e, metric.WithInterval(time.Minute))))
		counter, err := provider.Meter("test").Int64Counter("counter")
		require.NoError(t, err)
		histogram, err := provider.Meter("test").Float64Histogram("histogram")
		require.NoError(t, err)
		var sets []otelmetric.MeasurementOption
		for i := range series {
			sets = append(sets, otelmetric.WithAttributeSet(attribute.NewSet(attribute.Int("i", i))))
		}

		var heap []uint64
		for i := range collections {
			for _, set := range sets {
				counter.Add(t.Context(), 1, set)
				histogram.Record(t.Context(), float64(i), set)
			}
			elapse(time.Minute)
			if i == 100 || i == collections/2 || i == collections-1 {
				heap = append(heap, heapInUse())
				s := e.Stats()
				assertConserved(t, s)
				assert.LessOrEqual(t, s.Queued-s.InFlight, waiting*2*series)
			}
		}
		assert.LessOrEqual(t, slices.Max(heap), heap[0]+heap[0]/4, "%v", heap)

		down = false
		require.NoError(t, provider.Shutdown(t.Context()))
		counted, recorded := totals(inner.Delivered())
		assert.Equal(t, int64(collections*series), counted)
		assert.Equal(t, uint64(collections*series), recorded)
		assert.Empty(t, r.dropped())
		assertSettled(t, e.Stats())
		assertEven(t, inner.Delivered())
	})
}

// sparing is an exporter whose backend may be down. While it is, it keeps
// nothing of what it gets: the test is about memory.
type sparing struct {
	*metrictest.Exporter
	down *bool
}

func (s sparing) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if *s.down {
		return errTransient
	}
	return s.Exporter.Export(ctx, rm)
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// assertEven demands that the collections follow each other without a gap, and
// that none spans more than about twice the time of another. The first was in
// flight all the time, and the last two are of the time after the outage.
func assertEven(t *testing.T, rms []*metricdata.ResourceMetrics) {
	t.Helper()
	var spans []time.Duration
	var end time.Time
	for _, rm := range rms {
		require.Positive(t, batch.Points(rm))
		p := rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints[0]
		if !end.IsZero() {
			assert.Equal(t, end, p.StartTime, "a gap")
		}
		end = p.Time
		spans = append(spans, p.Time.Sub(p.StartTime))
	}
	require.Greater(t, len(spans), 25, "%v", spans)
	even := spans[1 : len(spans)-2]
	assert.LessOrEqual(t, slices.Max(even), 2*slices.Min(even), "%v", spans)
}
