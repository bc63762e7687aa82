package batch_test

import (
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// The rival of coalescing two collections is what collecting one of them costs
// the SDK. Compare them with benchstat -col /op.
func BenchmarkCoalesce(b *testing.B) {
	for _, points := range []int{300, 10_000, 100_000} {
		b.Run(fmt.Sprintf("mixed/points=%d", points), func(b *testing.B) {
			b.Run("op=coalesce", func(b *testing.B) {
				benchmarkCoalesce(b, metrictest.Mixed(points), metrictest.Mixed(points))
			})
			b.Run("op=collect", func(b *testing.B) { benchmarkCollect(b, points) })
		})
	}
}

// What does not lie in the steady state: exponential histograms, whose buckets
// have to be brought to one scale, and points that cannot be joined.
func BenchmarkCoalesceOthers(b *testing.B) {
	b.Run("every kind", func(b *testing.B) { benchmarkCoalesce(b, metrictest.EveryKind(500), metrictest.EveryKind(500)) })
	b.Run("all apart", func(b *testing.B) {
		benchmarkCoalesce(b, metrictest.Mixed(10_000), afterAReset(metrictest.Mixed(10_000), -5))
	})
	b.Run("scales differ", func(b *testing.B) {
		point := func(from int, scale int32) metricdata.Aggregation {
			points := make([]metricdata.ExponentialHistogramDataPoint[int64], 1000)
			for i := range points {
				points[i] = scaled[int64](from, from+1, scale, int32(i), make([]uint64, 160)...)
				points[i].Attributes = attribute.NewSet(attribute.Int("series", i))
				points[i].PositiveBucket.Counts[0], points[i].PositiveBucket.Counts[159] = 1, 1
			}
			return exponential(delta, points...)
		}
		benchmarkCoalesce(b, collectionWith(point(0, 10)), collectionWith(point(1, 2)))
	})
}

func benchmarkCoalesce(b *testing.B, older, newer *metricdata.ResourceMetrics) {
	var buffer batch.Buffer
	batch.Coalesce(&buffer, older, newer)
	batch.Coalesce(&buffer, older, newer)
	b.ReportAllocs()
	for b.Loop() {
		batch.Coalesce(&buffer, older, newer)
	}
}

// benchmarkCollect collects the points that metrictest.Mixed has.
func benchmarkCollect(b *testing.B, points int) {
	collect := metrictest.Collector(b, points)
	var collecting time.Duration
	for b.Loop() {
		collecting += collect()
	}
	b.ReportMetric(float64(collecting.Nanoseconds())/float64(b.N), "ns/op")
}
