// Package memory measures what waiting data points take: in memory, and on disk
// with a queue of package spool.
//
//	go test -run '^$' -bench . -benchtime 1x ./examples/memory
package memory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	api "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/spool"
)

// kinds are what a series may be.
var kinds = []struct {
	name   string
	record func(m api.Meter, name string) (recorder, error)
	view   metric.View
}{
	{name: "counter", record: counter},
	{name: "histogram", record: histogram},
	{name: "exponential", record: histogram, view: metric.NewView(metric.Instrument{Name: "*"}, metric.Stream{
		Aggregation: metric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20},
	})},
}

// A recorder records something for a series.
type recorder func(context.Context, api.MeasurementOption)

func counter(m api.Meter, name string) (recorder, error) {
	c, err := m.Int64Counter(name)
	return func(ctx context.Context, series api.MeasurementOption) { c.Add(ctx, rand.Int64N(1e6), series) }, err
}

func histogram(m api.Meter, name string) (recorder, error) {
	h, err := m.Float64Histogram(name)
	return func(ctx context.Context, series api.MeasurementOption) {
		for range 100 { // from 1 to 10 000
			h.Record(ctx, math.Pow(10, 4*rand.Float64()), series)
		}
	}, err
}

// shapes are how many metrics a collection has, and series each of them.
var shapes = []struct{ metrics, series int }{{1, 1}, {10, 1}, {10, 10}, {10, 100}, {100, 1}, {100, 10}}

// BenchmarkQueued reports the heap of what waits in a queue in memory.
func BenchmarkQueued(b *testing.B) {
	forEachShape(b, func(b *testing.B, rm *metricdata.ResourceMetrics, points int) {
		for b.Loop() {
			size := queued(b, rm, points)
			b.ReportMetric(size/float64(points), "B/point")
			b.ReportMetric(size, "B/collection")
		}
	})
}

// BenchmarkSpooled reports the records of what waits on disk, which
// spool.WithMaxBytes bounds, and the file that they are in.
func BenchmarkSpooled(b *testing.B) {
	forEachShape(b, func(b *testing.B, rm *metricdata.ResourceMetrics, points int) {
		for b.Loop() {
			records, file := spooled(b, rm, points)
			b.ReportMetric(records/float64(points), "B/point")
			b.ReportMetric(records, "B/collection")
			b.ReportMetric(file, "file-B/collection")
		}
	})
}

// forEachShape runs a benchmark with collections of the SDK.
func forEachShape(b *testing.B, run func(b *testing.B, rm *metricdata.ResourceMetrics, points int)) {
	for _, kind := range kinds {
		for _, shape := range shapes {
			b.Run(fmt.Sprintf("kind=%s/metrics=%d/series=%d", kind.name, shape.metrics, shape.series), func(b *testing.B) {
				reader := metric.NewManualReader(metric.WithTemporalitySelector(metric.DeltaTemporalitySelector))
				options := []metric.Option{metric.WithReader(reader)}
				if kind.view != nil {
					options = append(options, metric.WithView(kind.view))
				}
				meter := metric.NewMeterProvider(options...).Meter("memory")
				for i := range shape.metrics {
					record, err := kind.record(meter, fmt.Sprintf("requests.%d", i))
					if err != nil {
						b.Fatal(err)
					}
					for j := range shape.series {
						record(b.Context(), api.WithAttributes(attribute.Int("route", j)))
					}
				}
				var rm metricdata.ResourceMetrics
				if err := reader.Collect(b.Context(), &rm); err != nil {
					b.Fatal(err)
				}
				run(b, &rm, shape.metrics*shape.series)
			})
		}
	}
}

// queued returns the heap of a collection that waits.
func queued(b *testing.B, rm *metricdata.ResourceMetrics, points int) (size float64) {
	collections := max(100, 50_000/points)
	inner := stuck{arrived: make(chan struct{}, 1)}
	e, err := asyncmetric.New(inner, asyncmetric.WithMaxQueueBytes(math.MaxInt64))
	if err != nil {
		b.Fatal(err)
	}
	put := func() {
		if err := e.Export(b.Context(), rm); err != nil {
			b.Fatal(err)
		}
	}
	put() // is being delivered from now on, and does not count
	<-inner.arrived
	before := heap()
	for range collections {
		put()
	}
	size = float64(heap()-before) / float64(collections)
	if waiting := e.Stats().QueuedCollections - 1; waiting != collections {
		b.Fatalf("%d collections wait, want %d", waiting, collections)
	}
	ended, cancel := context.WithCancel(b.Context())
	cancel()
	if err := e.Shutdown(ended); !errors.Is(err, context.Canceled) {
		b.Fatal(err)
	}
	return size
}

// spooled returns the record of a collection that waits, and its share of the
// file.
func spooled(b *testing.B, rm *metricdata.ResourceMetrics, points int) (record, file float64) {
	const collections = 1000
	dir := b.TempDir()
	q, err := spool.Open(dir, spool.WithNoSync())
	if err != nil {
		b.Fatal(err)
	}
	for range collections {
		if err := q.Put(b.Context(), rm); err != nil {
			b.Fatal(err)
		}
	}
	record = float64(q.Bytes()) / float64(collections)
	if err := q.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "spool.db"))
	if err != nil {
		b.Fatal(err)
	}
	return record, float64(info.Size()) / float64(collections)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// stuck is an exporter whose backend does not answer.
type stuck struct{ arrived chan struct{} }

func (stuck) Temporality(k metric.InstrumentKind) metricdata.Temporality {
	return metric.DeltaTemporalitySelector(k)
}

func (stuck) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	return metric.DefaultAggregationSelector(k)
}

func (s stuck) Export(ctx context.Context, _ *metricdata.ResourceMetrics) error {
	s.arrived <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func (stuck) ForceFlush(context.Context) error { return nil }
func (stuck) Shutdown(context.Context) error   { return nil }
