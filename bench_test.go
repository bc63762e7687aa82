package asyncmetric_test

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
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
	e := newBench(b, sink{}, asyncmetric.WithMaxQueueBytes(math.MaxInt64))
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
	e := newBench(b, sink{}, asyncmetric.WithMaxQueueBytes(math.MaxInt64), asyncmetric.WithMaxQueueSize(30000), asyncmetric.WithOverflow(queue.DropOldest))
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
			e := newBench(b, sink{gate}, asyncmetric.WithMaxQueueBytes(math.MaxInt64), asyncmetric.WithMaxQueueSize(30000), asyncmetric.WithOverflow(overflow))
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
	e := newBench(b, sink{gate}, asyncmetric.WithMaxQueueBytes(math.MaxInt64))
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

// fullPoints is the size of the collections that BenchmarkExportFull exports.
const fullPoints = 3000

// ways are the ways in which a collection may arrive, as the calls of Export that
// it takes.
var ways = map[string]func(i int) []*metricdata.ResourceMetrics{
	"whole": func(int) []*metricdata.ResourceMetrics {
		return []*metricdata.ResourceMetrics{metrictest.Mixed(fullPoints)}
	},
	"pieces": func(int) (pieces []*metricdata.ResourceMetrics) {
		for part := range batch.Split(metrictest.Mixed(fullPoints), 100) {
			pieces = append(pieces, part.Copy(nil))
		}
		return pieces
	},
	"resources": func(i int) []*metricdata.ResourceMetrics {
		rm := metrictest.Mixed(fullPoints)
		rm.Resource = resource.NewSchemaless(attribute.Int("provider", i%2))
		return []*metricdata.ResourceMetrics{rm}
	},
	"half-churn": func(i int) []*metricdata.ResourceMetrics {
		return []*metricdata.ResourceMetrics{churn(i, fullPoints/2)}
	},
	"churn": func(i int) []*metricdata.ResourceMetrics {
		return []*metricdata.ResourceMetrics{churn(i, fullPoints/10)}
	},
	"unjoinable": func(i int) []*metricdata.ResourceMetrics { return []*metricdata.ResourceMetrics{churn(i, 0)} },
}

// churn returns a collection in which some series are stable and the others have
// never been there.
func churn(i, stable int) *metricdata.ResourceMetrics {
	rm := metrictest.Numbers(fullPoints, 1)
	points := rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints
	for j := stable; j < len(points); j++ {
		points[j].Attributes = attribute.NewSet(attribute.Int("once", i*fullPoints+j))
	}
	return rm
}

// BenchmarkExportFull exports while the inner exporter does not return and the
// queue is full, in each way in which data may arrive. Before each collection the
// SDK collects as many points, as in an application. It reports what Export takes
// on average and at worst, compared with that.
func BenchmarkExportFull(b *testing.B) {
	for name, collectionOf := range ways {
		b.Run("way="+name, func(b *testing.B) {
			gate := make(chan struct{})
			e := newBench(b, sink{gate})
			b.Cleanup(func() { close(gate) }) // before that of newBench
			collect := metrictest.Collector(b, fullPoints)
			i := 0
			export := func() (took time.Duration) {
				for _, rm := range collectionOf(i) {
					begin := time.Now()
					if err := e.Export(b.Context(), rm); err != nil {
						b.Fatal(err)
					}
					took += time.Since(begin)
				}
				i++
				return took
			}
			for s := e.Stats(); s.Coalesced+s.Dropped == 0; s = e.Stats() {
				export()
			}
			for range 100 {
				collect()
				export()
			}
			var collecting time.Duration
			var exports []time.Duration
			for b.Loop() {
				collecting += collect()
				exports = append(exports, export())
			}
			slices.Sort(exports)
			mean := float64(collecting) / float64(b.N)
			var total time.Duration
			for _, took := range exports {
				total += took
			}
			b.ReportMetric(float64(total)/float64(b.N), "ns/op")
			b.ReportMetric(float64(total)/float64(b.N)/mean, "mean/collect")
			b.ReportMetric(float64(exports[len(exports)*99/100])/mean, "p99/collect")
			b.ReportMetric(float64(e.Stats().Dropped)/float64(i), "dropped/op")
		})
	}
}
