package asyncmetric_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

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
		var down atomic.Bool
		down.Store(true)
		inner := &metrictest.Exporter{OnTemporality: deltas}
		exporter := sparing{inner, &down}
		r := &record{}
		e, err := asyncmetric.New(exporter, append(r.options(),
			asyncmetric.WithMaxQueueSize(waiting*2*series), asyncmetric.WithDrainTimeout(time.Hour),
			asyncmetric.WithRetry(asyncmetric.Retry{Suspect: -1}),                   // a trial sends other parts of collections
			asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {})))...) // it would keep a reminder an hour
		require.NoError(t, err)
		provider := metric.NewMeterProvider(metric.WithReader(
			metric.NewPeriodicReader(e, metric.WithInterval(time.Minute))))
		counter, err := provider.Meter("test").Int64Counter("counter")
		require.NoError(t, err)
		histogram, err := provider.Meter("test").Float64Histogram("histogram")
		require.NoError(t, err)
		var sets []apimetric.MeasurementOption
		for i := range series {
			sets = append(sets, apimetric.WithAttributeSet(attribute.NewSet(attribute.Int("i", i))))
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

		down.Store(false)
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
	down *atomic.Bool
}

func (s sparing) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if s.down.Load() {
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

// The real SDK counts, from several goroutines, while the backend fails half of
// the time: nothing is lost and nothing arrives twice.
func TestPipelineLosesNothing(t *testing.T) {
	calls := 0
	inner := &metrictest.Exporter{
		OnTemporality: deltas,
		OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			if calls++; calls%2 == 1 {
				return errTransient
			}
			return nil
		},
	}
	e, r := start(t, inner, asyncmetric.WithMaxExportBatchSize(3),
		asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Microsecond}))
	// The reader collects when it is flushed. Were it to collect on its own at
	// the moment of Shutdown, it would cancel that collection and lose it.
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(e, metric.WithInterval(time.Hour))))
	meter := provider.Meter("test")
	counter, err := meter.Int64Counter("counter")
	require.NoError(t, err)
	histogram, err := meter.Float64Histogram("histogram")
	require.NoError(t, err)

	const writers, each = 4, 2000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				set := apimetric.WithAttributes(attribute.Int("writer", w), attribute.Int("i", i%5))
				counter.Add(context.Background(), 2, set)
				histogram.Record(context.Background(), float64(i), set)
				if i%100 == 0 {
					assert.NoError(t, provider.ForceFlush(context.Background()))
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, provider.Shutdown(t.Context()))

	counted, recorded := totals(inner.Delivered())
	assert.Equal(t, int64(2*writers*each), counted)
	assert.Equal(t, uint64(writers*each), recorded)
	assert.Empty(t, r.dropped())
	assertSettled(t, e.Stats())
	assert.Zero(t, inner.Overlaps())
	assert.Equal(t, 1, inner.Count("Shutdown"))
}

// The bare exporter would be held up for as long as the backend.
func TestPipelineCollectsWhileTheBackendIsStuck(t *testing.T) {
	g := newGate()
	inner := &metrictest.Exporter{OnTemporality: deltas, OnExport: g.stuck}
	e, _ := start(t, inner)
	reader := metric.NewPeriodicReader(e, metric.WithInterval(time.Millisecond))
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	counter, err := provider.Meter("test").Int64Counter("counter")
	require.NoError(t, err)
	counter.Add(t.Context(), 1)
	<-g.arrived
	for e.Stats().QueuedCollections < 10 {
		counter.Add(t.Context(), 1) // there is something to collect again
	}
	close(g.open)
	require.NoError(t, provider.Shutdown(t.Context()))
	assert.GreaterOrEqual(t, len(inner.Delivered()), 10)
}

func TestSelectorsDecideWhatTheSDKCollects(t *testing.T) {
	inner := &metrictest.Exporter{
		OnTemporality: deltas,
		OnAggregation: func(metric.InstrumentKind) metric.Aggregation {
			return metric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
		},
	}
	e, _ := start(t, inner)
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(e)))
	histogram, err := provider.Meter("test").Float64Histogram("histogram")
	require.NoError(t, err)
	histogram.Record(t.Context(), 1)
	require.NoError(t, provider.Shutdown(t.Context()))
	require.Len(t, inner.Delivered(), 1)
	data := inner.Delivered()[0].ScopeMetrics[0].Metrics[0].Data
	require.IsType(t, metricdata.ExponentialHistogram[float64]{}, data)
	assert.Equal(t, metricdata.DeltaTemporality, data.(metricdata.ExponentialHistogram[float64]).Temporality)
}

// A producer is a source of metrics beside the SDK, that takes its time.
type producer func(context.Context)

func (p producer) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	p(ctx)
	return nil, nil
}

// A reader that is shut down, or whose timeout passes, while it collects hands
// over what it has with a context that has ended. With delta temporality that
// exists nowhere else.
func TestAReaderThatIsCutOffWhileItCollectsLosesNothing(t *testing.T) {
	for _, overflow := range []queue.Overflow{queue.Coalesce, queue.DropNewest, queue.Block} {
		for end, timeout := range map[string]time.Duration{"shut down": time.Hour, "timed out": time.Second} {
			t.Run(overflow.String()+", "+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					inner := &metrictest.Exporter{OnTemporality: deltas}
					e, r := start(t, inner, asyncmetric.WithOverflow(overflow))
					cutOff := 0
					slow := producer(func(ctx context.Context) {
						time.Sleep(10 * time.Second)
						if ctx.Err() != nil {
							cutOff++
						}
					})
					provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(e,
						metric.WithInterval(time.Minute), metric.WithTimeout(timeout), metric.WithProducer(slow))))
					counter, err := provider.Meter("test").Int64Counter("counter")
					require.NoError(t, err)
					for range 60 + 5 { // the second collection begins after a minute
						counter.Add(t.Context(), 1)
						time.Sleep(time.Second)
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					require.NoError(t, provider.Shutdown(ctx))
					assert.Positive(t, cutOff)
					counted, _ := totals(inner.Delivered())
					assert.Equal(t, int64(65), counted)
					assert.Empty(t, r.dropped())
					assert.Zero(t, e.Stats().Refused)
				})
			})
		}
	}
}
