package queue

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// An app has an SDK of its own. It records the same series for each collection, with
// attributes made anew, as a server does.
type app struct {
	temporality metricdata.Temporality
	exemplars   bool // with a trace, and an attribute that a view removes
	keepsSets   bool // does not make attributes anew
	series      int  // of each instrument

	ctx    context.Context
	reader *sdkmetric.ManualReader
	record []func(metric.MeasurementOption)
	kept   []metric.MeasurementOption
	rm     metricdata.ResourceMetrics // which the SDK fills again
}

func (a *app) String() string {
	return fmt.Sprintf("%s/exemplars=%t/keeps sets=%t/%d series", a.temporality, a.exemplars, a.keepsSets, a.series)
}

// start makes a counter, a gauge, a histogram and an exponential histogram.
func (a *app) start(t *testing.T) {
	t.Helper()
	a.ctx = propagation.TraceContext{}.Extract(context.Background(),
		propagation.MapCarrier{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
	a.reader = sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(
		func(sdkmetric.InstrumentKind) metricdata.Temporality { return a.temporality }))
	filter := sdkmetric.Stream{}
	options := []sdkmetric.Option{sdkmetric.WithReader(a.reader), sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter)}
	if a.exemplars {
		filter.AttributeFilter = attribute.NewDenyKeysFilter("user")
		options[1] = sdkmetric.WithExemplarFilter(exemplar.AlwaysOnFilter)
	}
	exponential := filter
	exponential.Aggregation = sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
	options = append(options,
		sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: "exponential"}, exponential)))
	for _, name := range []string{"counter", "gauge", "histogram"} {
		options = append(options, sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: name}, filter)))
	}
	meter := sdkmetric.NewMeterProvider(options...).Meter("test")
	counter, err := meter.Int64Counter("counter")
	require.NoError(t, err)
	gauge, err := meter.Float64Gauge("gauge")
	require.NoError(t, err)
	a.record = []func(metric.MeasurementOption){
		func(o metric.MeasurementOption) { counter.Add(a.ctx, 1, o) },
		func(o metric.MeasurementOption) { gauge.Record(a.ctx, 1, o) },
	}
	for _, name := range []string{"histogram", "exponential"} {
		h, err := meter.Float64Histogram(name)
		require.NoError(t, err)
		a.record = append(a.record, func(o metric.MeasurementOption) { h.Record(a.ctx, 30, o) })
	}
	for s := range a.series {
		a.kept = append(a.kept, metric.WithAttributeSet(attribute.NewSet(a.attributes(s)...)))
	}
}

func (a *app) attributes(series int) []attribute.KeyValue {
	attributes := []attribute.KeyValue{
		attribute.String("method", "GET"),
		attribute.Int("status", 200),
		attribute.String("route", fmt.Sprintf("/customers/%d/orders/%d", series, series)),
	}
	if a.exemplars {
		attributes = append(attributes, attribute.Int("user", series))
	}
	return attributes
}

// collect returns the next collection. It is valid until the next call.
func (a *app) collect(t *testing.T) *metricdata.ResourceMetrics {
	t.Helper()
	for _, record := range a.record {
		for s := range a.series {
			if a.keepsSets {
				record(a.kept[s])
			} else {
				record(metric.WithAttributes(a.attributes(s)...))
			}
		}
	}
	require.NoError(t, a.reader.Collect(a.ctx, &a.rm))
	return &a.rm
}

// warmUp makes the SDK take all that it needs for itself. With cumulative
// temporality its reservoirs keep exemplars from one collection to the next.
func (a *app) warmUp(t *testing.T) {
	collections := 3
	if a.exemplars && a.temporality == metricdata.CumulativeTemporality {
		collections = 30
	}
	for range collections {
		a.collect(t)
	}
}

func apps() (all []*app) {
	for _, series := range []int{5, 100} {
		for _, temporality := range []metricdata.Temporality{metricdata.DeltaTemporality, metricdata.CumulativeTemporality} {
			for _, keepsSets := range []bool{true, false} {
				for _, exemplars := range []bool{true, false} {
					all = append(all, &app{
						temporality: temporality, exemplars: exemplars, keepsSets: keepsSets, series: series,
					})
				}
			}
		}
	}
	return all
}

func heapInUse() int {
	runtime.GC()
	runtime.GC() // for what is in pools
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// The bound is one of memory: what Stats says of it is what the heap has more.
func TestBytesIsWhatAFullQueueKeepsAlive(t *testing.T) {
	for _, overflow := range []Overflow{DropOldest, Coalesce} {
		for _, a := range apps() {
			t.Run(fmt.Sprint(overflow, "/", a), func(t *testing.T) {
				bound := 1 << 20
				if a.series > 50 {
					bound = 4 << 20
				}
				a.start(t)
				a.warmUp(t)
				before := heapInUse()
				m, err := NewMemory(Bound{Bytes: int64(bound)}, overflow)
				require.NoError(t, err)
				isFull := func(s Stats) bool { return s.Dropped+s.Coalesced > 0 }
				for puts, more := 0, 0; more < puts/4 || !isFull(m.Stats()); puts++ {
					require.NoError(t, m.Put(t.Context(), a.collect(t)))
					require.LessOrEqual(t, m.Stats().Bytes, int64(bound))
					if isFull(m.Stats()) {
						more++
					}
				}
				m.settleDown()
				s := m.Stats()
				require.LessOrEqual(t, s.Bytes, int64(bound))
				require.GreaterOrEqual(t, s.Bytes, int64(bound/2), "the room is used")
				grown := heapInUse() - before
				t.Logf("%d collections of %d bytes, the heap has grown by %d (%+.1f %%)",
					s.Collections, s.Bytes, grown, 100*float64(int(s.Bytes)-grown)/float64(grown))
				assert.LessOrEqual(t, math.Abs(float64(int(s.Bytes)-grown)), float64(grown)/4)
				require.NoError(t, m.Close())
				runtime.KeepAlive(a)
			})
		}
	}
}
