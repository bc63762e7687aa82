package queue

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// benchPoints is the size of the collections whose way through the queue is
// measured.
const benchPoints = 300

func benchQueue(b *testing.B, maxPoints int, overflow Overflow) (*Memory, *metricdata.ResourceMetrics) {
	m, err := NewMemory(Bound{Points: maxPoints, Bytes: math.MaxInt64}, overflow)
	require.NoError(b, err)
	rm := metrictest.Mixed(benchPoints)
	b.SetBytes(int64(metrictest.Bytes(rm)))
	b.ReportAllocs()
	return m, rm
}

func fill(b *testing.B, m *Memory, depth int, rm *metricdata.ResourceMetrics) {
	for range depth {
		require.NoError(b, m.Put(b.Context(), rm))
	}
}

func mustPut(b *testing.B, m *Memory, ctx context.Context, rm *metricdata.ResourceMetrics) {
	if err := m.Put(ctx, rm); err != nil {
		b.Fatal(err)
	}
}

func mustEnd(b *testing.B, m *Memory, ctx context.Context) {
	e, err := m.Take(ctx, Limit{})
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Settle(Outcome{Exported: e.Points()}); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkThroughTheQueue puts in a collection of one data point, takes the oldest
// and settles it, while others wait. What comes out is not in the processor's cache
// any more where many wait.
func BenchmarkThroughTheQueue(b *testing.B) {
	for _, depth := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) {
			m, _ := benchQueue(b, math.MaxInt, Block)
			rm := metrictest.Numbers(1, 0)
			b.SetBytes(int64(metrictest.Bytes(rm)))
			fill(b, m, depth, rm)
			ctx := context.Background()
			for b.Loop() {
				mustPut(b, m, ctx, rm)
				mustEnd(b, m, ctx)
			}
		})
	}
}

// BenchmarkPut compares a Put that has to drop the oldest collection with one
// that finds the queue empty, which has to be emptied again.
func BenchmarkPut(b *testing.B) {
	b.Run("full", func(b *testing.B) {
		m, rm := benchQueue(b, 10*benchPoints, DropOldest)
		fill(b, m, 10, rm)
		ctx := context.Background()
		for b.Loop() {
			mustPut(b, m, ctx, rm)
		}
	})
	b.Run("empty", func(b *testing.B) {
		m, rm := benchQueue(b, 10*benchPoints, DropOldest)
		ctx := context.Background()
		for b.Loop() {
			mustPut(b, m, ctx, rm)
			mustEnd(b, m, ctx)
		}
	})
}

// unlike are collections of one data point that cannot be joined: each has a series of
// its own, or a resource.
var unlike = map[string]func(i int) *metricdata.ResourceMetrics{
	"series": func(i int) *metricdata.ResourceMetrics {
		return named(metrictest.Numbers(1, 1), fmt.Sprint("metric", i))
	},
	"resources": func(i int) *metricdata.ResourceMetrics {
		return withResource(metrictest.Numbers(1, 1), fmt.Sprint("resource", i))
	},
}

// BenchmarkPutFull puts collections into a full queue under Coalesce in which others
// wait that cannot be joined. A Put should take as long however many these are.
func BenchmarkPutFull(b *testing.B) {
	for name, made := range unlike {
		for _, depth := range []int{10, 1000, 100_000} {
			b.Run(fmt.Sprintf("%s/depth=%d", name, depth), func(b *testing.B) {
				m, err := NewMemory(Bound{Points: depth, Bytes: math.MaxInt64}, Coalesce)
				require.NoError(b, err)
				ctx, n := context.Background(), 0
				next := func() *metricdata.ResourceMetrics { n++; return made(n) }
				for range depth {
					mustPut(b, m, ctx, next())
				}
				m.settleDown()
				b.ReportAllocs()
				for b.Loop() {
					mustPut(b, m, ctx, next())
				}
				require.NoError(b, m.Close())
			})
		}
	}
}

// BenchmarkPutContended has GOMAXPROCS goroutines put into a full queue at
// once. Compare BenchmarkPut/full.
func BenchmarkPutContended(b *testing.B) {
	m, rm := benchQueue(b, 10*benchPoints, DropOldest)
	fill(b, m, 10, rm)
	ctx := context.Background()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := m.Put(ctx, rm); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkBurst puts in 20 collections and then takes and settles them, as
// with several readers, or where the SDK hands over a collection in pieces.
func BenchmarkBurst(b *testing.B) {
	const burst, points = 20, 3000
	m, err := NewMemory(Bound{Points: 10 * burst * points, Bytes: math.MaxInt64}, DropOldest)
	require.NoError(b, err)
	rm := metrictest.Mixed(points)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		for range burst {
			mustPut(b, m, ctx, rm)
		}
		for range burst {
			mustEnd(b, m, ctx)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*burst*points), "ns/point")
}

// BenchmarkStatsDuringPuts calls Stats again and again while another goroutine
// puts in collections of 300 000 points.
func BenchmarkStatsDuringPuts(b *testing.B) {
	const points = 300_000
	m, err := NewMemory(Bound{Points: 10 * points, Bytes: math.MaxInt64}, DropOldest)
	require.NoError(b, err)
	rm := metrictest.Numbers(points, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var putting sync.WaitGroup
	putting.Go(func() {
		for ctx.Err() == nil {
			if err := m.Put(ctx, rm); err != nil && ctx.Err() == nil {
				b.Error(err)
				return
			}
		}
	})
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		m.Stats()
		took = append(took, time.Since(begin))
		time.Sleep(100 * time.Microsecond) // not in a loop that keeps a processor busy
	}
	cancel()
	putting.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*9/10].Nanoseconds()), "p90-ns")
	b.ReportMetric(float64(took[len(took)-1].Nanoseconds()), "max-ns")
}
