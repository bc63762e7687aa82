package batch_test

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

	"github.com/asyncmetric/asyncmetric/batch"
)

// instruments are functions that make an instrument and return what records a
// measurement with it.
var instruments = map[string]func(m metric.Meter, name string) func(context.Context, ...metric.MeasurementOption){
	"counter int64": func(m metric.Meter, name string) func(context.Context, ...metric.MeasurementOption) {
		c, err := m.Int64Counter(name)
		return func(ctx context.Context, o ...metric.MeasurementOption) { must(err); c.Add(ctx, 1, addOptions(o)...) }
	},
	"counter float64": func(m metric.Meter, name string) func(context.Context, ...metric.MeasurementOption) {
		c, err := m.Float64Counter(name)
		return func(ctx context.Context, o ...metric.MeasurementOption) { must(err); c.Add(ctx, 1, addOptions(o)...) }
	},
	"gauge": func(m metric.Meter, name string) func(context.Context, ...metric.MeasurementOption) {
		g, err := m.Float64Gauge(name)
		return func(ctx context.Context, o ...metric.MeasurementOption) {
			must(err)
			g.Record(ctx, 1, recordOptions(o)...)
		}
	},
	"histogram": func(m metric.Meter, name string) func(context.Context, ...metric.MeasurementOption) {
		h, err := m.Float64Histogram(name)
		return func(ctx context.Context, o ...metric.MeasurementOption) {
			must(err)
			h.Record(ctx, 30, recordOptions(o)...)
		}
	},
	"exponential histogram": func(m metric.Meter, name string) func(context.Context, ...metric.MeasurementOption) {
		h, err := m.Int64Histogram(name)
		return func(ctx context.Context, o ...metric.MeasurementOption) {
			must(err)
			h.Record(ctx, 30, recordOptions(o)...)
			h.Record(ctx, 31, recordOptions(o)...)
		}
	},
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func addOptions(options []metric.MeasurementOption) []metric.AddOption {
	var all []metric.AddOption
	for _, o := range options {
		all = append(all, o)
	}
	return all
}

func recordOptions(options []metric.MeasurementOption) []metric.RecordOption {
	var all []metric.RecordOption
	for _, o := range options {
		all = append(all, o)
	}
	return all
}

// attributesMadeAnew are what a server has that counts requests.
func attributesMadeAnew(series int) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("method", "GET"),
		attribute.Int("status", 200),
		attribute.String("route", fmt.Sprintf("/customers/%d/orders/%d", series, series)),
	}
}

// An app has an SDK of its own and records the same series in each collection.
type app struct {
	instrument  string
	temporality metricdata.Temporality
	exemplars   bool // with a trace, and an attribute that a view removes
	keepsSets   bool // does not make attributes anew
	instruments int
	series      int // of each instrument
	collections int
}

func (a app) String() string {
	return fmt.Sprintf("%s %s/exemplars=%t/keeps sets=%t/%d collections of %d x %d",
		a.temporality, a.instrument, a.exemplars, a.keepsSets, a.collections, a.instruments, a.series)
}

func (a app) reader() sdkmetric.Reader {
	return sdkmetric.NewManualReader(
		sdkmetric.WithTemporalitySelector(func(sdkmetric.InstrumentKind) metricdata.Temporality { return a.temporality }),
		sdkmetric.WithAggregationSelector(func(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
			if a.instrument == "exponential histogram" {
				return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
			}
			return sdkmetric.DefaultAggregationSelector(kind)
		}))
}

func (a app) options(reader sdkmetric.Reader) []sdkmetric.Option {
	if !a.exemplars {
		return []sdkmetric.Option{sdkmetric.WithReader(reader), sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter)}
	}
	filter := sdkmetric.Stream{AttributeFilter: attribute.NewDenyKeysFilter("user")}
	return []sdkmetric.Option{
		sdkmetric.WithReader(reader),
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOnFilter),
		sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: "*"}, filter)),
	}
}

// run hands each collection of the app to keep.
func (a app) run(t *testing.T, keep func(*metricdata.ResourceMetrics)) {
	ctx := propagation.TraceContext{}.Extract(context.Background(),
		propagation.MapCarrier{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
	reader := a.reader()
	meter := sdkmetric.NewMeterProvider(a.options(reader)...).Meter("test")
	record := make([]func(context.Context, ...metric.MeasurementOption), a.instruments)
	for i := range record {
		record[i] = instruments[a.instrument](meter, fmt.Sprint("metric", i))
	}
	var kept []metric.MeasurementOption
	for s := range a.series {
		kept = append(kept, metric.WithAttributeSet(attribute.NewSet(attributesMadeAnew(s)...)))
	}
	var rm metricdata.ResourceMetrics // which the SDK fills again
	for range a.collections {
		for _, record := range record {
			for s := range a.series {
				switch {
				case a.keepsSets:
					record(ctx, kept[s])
				case a.exemplars:
					record(ctx, metric.WithAttributes(append(attributesMadeAnew(s), attribute.Int("user", s))...))
				default:
					record(ctx, metric.WithAttributes(attributesMadeAnew(s)...))
				}
			}
		}
		require.NoError(t, reader.Collect(ctx, &rm))
		keep(&rm)
	}
}

// kept is what a queue keeps.
type kept struct {
	buffers      []*batch.Buffer
	meter        batch.SetMeter
	bytes, sets  int
	announcement int // of Bytes
}

func newKept(collections int) *kept { return &kept{buffers: make([]*batch.Buffer, 0, collections)} }

func (k *kept) keep(rm *metricdata.ResourceMetrics) {
	buffer := new(batch.Buffer)
	batch.Copy(buffer, rm)
	k.announcement += batch.Bytes(rm)
	k.bytes += buffer.Bytes()
	k.sets += k.meter.Unshared(rm)
	k.buffers = append(k.buffers, buffer)
}

// requireAccounted requires that the heap has grown by what k accounts for.
func (k *kept) requireAccounted(t *testing.T, before int) {
	t.Helper()
	grown := heapInUse() - before
	t.Logf("%d bytes of buffers and %d of sets, the heap has grown by %d (%+.1f %%)",
		k.bytes, k.sets, grown, 100*float64(k.bytes+k.sets-grown)/float64(grown))
	assert.LessOrEqual(t, math.Abs(float64(k.bytes+k.sets-grown)), float64(grown)/4)
	assert.Equal(t, k.bytes, k.announcement)
	runtime.KeepAlive(k)
}

func TestBuffersAndSetsAccountForTheHeap(t *testing.T) {
	sizes := []app{
		{instruments: 3, series: 500, collections: 4}, // few large ones
		{instruments: 10, series: 20, collections: 20},
		{instruments: 1, series: 2, collections: 500}, // many tiny ones
	}
	for instrument := range instruments {
		for _, a := range sizes {
			for _, temporality := range []metricdata.Temporality{delta, metricdata.CumulativeTemporality} {
				for _, variant := range []app{{}, {exemplars: true}, {keepsSets: true}} {
					a := a
					a.instrument, a.temporality = instrument, temporality
					a.exemplars, a.keepsSets = variant.exemplars, variant.keepsSets
					t.Run(a.String(), func(t *testing.T) {
						k := newKept(a.collections)
						before := heapInUse()
						a.run(t, k.keep)
						k.requireAccounted(t, before)
					})
				}
			}
		}
	}
}

// The SDK makes no summaries, but bridges do.
func TestBuffersAndSetsAccountForSummaries(t *testing.T) {
	for points, collections := range map[int]int{1: 2000, 50: 100, 3000: 10} {
		k := newKept(collections)
		before := heapInUse()
		for range collections {
			series := -1
			k.keep(collectionWith(metricdata.Summary{DataPoints: pointsOf(points, func(p *metricdata.SummaryDataPoint) {
				series++
				p.Attributes = attribute.NewSet(attributesMadeAnew(series)...)
				p.QuantileValues = make([]metricdata.QuantileValue, 5)
			})}))
		}
		k.requireAccounted(t, before)
	}
}

// Two providers, one of each temporality, and the same buffers and meter.
func TestBuffersAndSetsAccountForTwoProviders(t *testing.T) {
	k := newKept(100)
	before := heapInUse()
	other := make(chan *metricdata.ResourceMetrics)
	resume := make(chan struct{})
	go func() {
		defer close(other)
		app{instrument: "counter int64", temporality: metricdata.CumulativeTemporality, instruments: 5, series: 70, collections: 50}.run(t,
			func(rm *metricdata.ResourceMetrics) { other <- rm; <-resume })
	}()
	app{instrument: "counter int64", temporality: delta, instruments: 3, series: 90, collections: 50}.run(t,
		func(rm *metricdata.ResourceMetrics) {
			k.keep(rm)
			k.keep(<-other)
			resume <- struct{}{}
		})
	<-other
	k.requireAccounted(t, before)
}
