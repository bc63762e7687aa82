package asyncmetric_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/statusz"
)

// sink is an inner exporter that does nothing, or, given a gate, waits for it.
type sink struct{ gate chan struct{} }

func (sink) Temporality(k metric.InstrumentKind) metricdata.Temporality {
	return metric.DefaultTemporalitySelector(k)
}

func (sink) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	return metric.DefaultAggregationSelector(k)
}

func (s sink) Export(context.Context, *metricdata.ResourceMetrics) error {
	if s.gate != nil {
		<-s.gate
	}
	return nil
}

func (sink) ForceFlush(context.Context) error { return nil }

func (sink) Shutdown(context.Context) error { return nil }

func newBench(b *testing.B, s sink, opts ...asyncmetric.Option) *asyncmetric.Exporter {
	b.Helper()
	opts = append(opts, asyncmetric.WithErrorHandler(discard{}))
	e, err := asyncmetric.New(s, opts...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return e
}

type discard struct{}

func (discard) Handle(error) {}

// shapes are the collections that the benchmarks export.
var shapes = []struct {
	name string
	make func(points int) *metricdata.ResourceMetrics
}{
	{"mixed", metrictest.Mixed},
	{"numbers", func(n int) *metricdata.ResourceMetrics { return metrictest.Numbers(n, 1) }},
	{"histograms", metrictest.Histograms},
}

// BenchmarkExport compares Export in the steady state, where each collection
// has been delivered before the next one comes, with moving the same number of
// bytes, and with what the SDK takes to collect the points. What the worker does
// is not part of the time.
func BenchmarkExport(b *testing.B) {
	for _, shape := range shapes {
		for _, points := range []int{300, 3000, 30000, 300000} {
			rm := shape.make(points)
			name := fmt.Sprintf("shape=%s/points=%d", shape.name, points)
			b.Run(name+"/op=export", func(b *testing.B) { benchmarkExport(b, rm) })
			b.Run(name+"/op=memmove", func(b *testing.B) { benchmarkMemmove(b, metrictest.Bytes(rm), false) })
			if shape.name == "mixed" {
				b.Run(name+"/op=collect", func(b *testing.B) { benchmarkCollect(b, points) })
			}
			b.Run(name+"/op=handover", func(b *testing.B) { benchmarkMemmove(b, metrictest.Bytes(rm), true) })
		}
	}
}

func benchmarkExport(b *testing.B, rm *metricdata.ResourceMetrics) {
	ctx := b.Context()
	e := newBench(b, sink{}, asyncmetric.WithMaxQueueSize(1<<30))
	var held time.Duration
	cycle := func() {
		begin := time.Now()
		if err := e.Export(ctx, rm); err != nil {
			b.Fatal(err)
		}
		held += time.Since(begin)
		if err := e.ForceFlush(ctx); err != nil {
			b.Fatal(err)
		}
	}
	for range 3 {
		cycle()
	}
	held = 0
	b.ReportAllocs()
	for b.Loop() {
		cycle()
	}
	b.ReportMetric(float64(held.Nanoseconds())/float64(b.N), "ns/op")
}

// benchmarkCollect is what the SDK takes to collect the points.
func benchmarkCollect(b *testing.B, points int) {
	collect := metrictest.Collector(b, points)
	var collecting time.Duration
	for b.Loop() {
		collecting += collect()
	}
	b.ReportMetric(float64(collecting.Nanoseconds())/float64(b.N), "ns/op")
}

// benchmarkMemmove is benchmarkExport with nothing but the moving: another
// goroutine copies what was moved before it is overwritten, as the worker does. To
// wake it is part of the time or not; with it, this is the least that handing
// over takes. It takes long where the other processor sleeps.
func benchmarkMemmove(b *testing.B, n int, wake bool) {
	src, dst, scratch := make([]byte, n), make([]byte, n), make([]byte, n)
	moved, delivered := make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for range moved {
			copy(scratch, dst)
			delivered <- struct{}{}
		}
	}()
	var held time.Duration
	b.ReportAllocs()
	for b.Loop() {
		begin := time.Now()
		copy(dst, src)
		if !wake {
			held += time.Since(begin)
		}
		moved <- struct{}{}
		if wake {
			held += time.Since(begin)
		}
		<-delivered
	}
	close(moved)
	b.ReportMetric(float64(held.Nanoseconds())/float64(b.N), "ns/op")
}

// BenchmarkExportContended has all processors export at once; the queue drops
// the oldest when the worker does not keep up.
func BenchmarkExportContended(b *testing.B) {
	rm := metrictest.Mixed(3000)
	e := newBench(b, sink{}, asyncmetric.WithMaxQueueSize(30000), asyncmetric.WithOverflow(queue.DropOldest))
	b.SetBytes(int64(metrictest.Bytes(rm)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := e.Export(context.Background(), rm); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkExportBlocked exports while the inner exporter does not return and
// the queue is full, which is when a library like this has to prove itself. The
// rival is Export while everything is well and the queue is empty.
func BenchmarkExportBlocked(b *testing.B) {
	b.Run("overflow=none", func(b *testing.B) { benchmarkExport(b, metrictest.Mixed(3000)) })
	for _, overflow := range []queue.Overflow{queue.Coalesce, queue.DropOldest, queue.DropNewest} {
		b.Run("overflow="+overflow.String(), func(b *testing.B) {
			rm := metrictest.Mixed(3000)
			gate := make(chan struct{})
			e := newBench(b, sink{gate}, asyncmetric.WithMaxQueueSize(30000), asyncmetric.WithOverflow(overflow))
			b.Cleanup(func() { close(gate) }) // before that of newBench
			for range 100 {
				_ = e.Export(b.Context(), rm)
			}
			b.SetBytes(int64(metrictest.Bytes(rm)))
			b.ReportAllocs()
			for b.Loop() {
				_ = e.Export(b.Context(), rm)
			}
		})
	}
}

// BenchmarkDelivery exports and delivers, split or not.
func BenchmarkDelivery(b *testing.B) {
	for _, batchSize := range []int{0, 1000} {
		b.Run(fmt.Sprintf("batch=%d", batchSize), func(b *testing.B) {
			rm := metrictest.Mixed(30000)
			e := newBench(b, sink{}, asyncmetric.WithMaxExportBatchSize(batchSize))
			b.SetBytes(int64(metrictest.Bytes(rm)))
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Export(b.Context(), rm); err != nil {
					b.Fatal(err)
				}
				if err := e.ForceFlush(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// backedUp returns an exporter where a number of collections wait.
func backedUp(b *testing.B, collections int) *asyncmetric.Exporter {
	gate := make(chan struct{})
	e := newBench(b, sink{gate}, asyncmetric.WithMaxQueueSize(1<<30))
	b.Cleanup(func() { close(gate) }) // before that of newBench
	rm := metrictest.Numbers(1, 1)
	for range collections {
		if err := e.Export(b.Context(), rm); err != nil {
			b.Fatal(err)
		}
	}
	return e
}

func BenchmarkStats(b *testing.B) {
	for _, collections := range []int{10, 100_000} {
		e := backedUp(b, collections)
		b.Run(fmt.Sprintf("op=Stats/waiting=%d", collections), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.Stats()
			}
		})
		b.Run(fmt.Sprintf("op=Status/waiting=%d", collections), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.Status()
			}
		})
		page := statusz.Handler(e)
		b.Run(fmt.Sprintf("op=page/waiting=%d", collections), func(b *testing.B) {
			for b.Loop() {
				page.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			}
		})
	}
}
