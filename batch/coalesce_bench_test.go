package batch_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelmetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
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

// benchmarkCollect collects the points that metrictest.Mixed has. Recording
// them again, which has to be done each time, is not part of the time.
func benchmarkCollect(b *testing.B, points int) {
	reader := metric.NewManualReader(
		metric.WithTemporalitySelector(func(metric.InstrumentKind) metricdata.Temporality { return delta }))
	meter := metric.NewMeterProvider(metric.WithReader(reader), metric.WithCardinalityLimit(0)).Meter("metrictest")
	record := recordMixed(b, meter, points)
	var rm metricdata.ResourceMetrics
	var collecting time.Duration
	cycle := func() {
		record()
		begin := time.Now()
		if err := reader.Collect(context.Background(), &rm); err != nil {
			b.Fatal(err)
		}
		collecting += time.Since(begin)
	}
	for range 3 {
		cycle()
	}
	if got := batch.Points(&rm); got != points {
		b.Fatalf("%d points were collected", got)
	}
	collecting = 0
	for b.Loop() {
		cycle()
	}
	b.ReportMetric(float64(collecting.Nanoseconds())/float64(b.N), "ns/op")
}

// recordMixed returns what records a measurement for each point of
// metrictest.Mixed.
func recordMixed(b *testing.B, meter otelmetric.Meter, points int) (record func()) {
	b.Helper()
	var records []func()
	ctx := context.Background()
	each := func(name string, n int, create func(name string) (func(otelmetric.MeasurementOption), error)) {
		for i := 0; n > 0; i++ {
			measure, err := create(fmt.Sprintf("%s.%d", name, i))
			if err != nil {
				b.Fatal(err)
			}
			for _, set := range metrictest.Series(min(n, metrictest.PointsPerMetric)) {
				option := otelmetric.WithAttributeSet(set)
				records = append(records, func() { measure(option) })
			}
			n -= metrictest.PointsPerMetric
		}
	}
	third := points / 3
	each("sum", third, func(name string) (func(otelmetric.MeasurementOption), error) {
		counter, err := meter.Int64Counter(name)
		return func(o otelmetric.MeasurementOption) { counter.Add(ctx, 1, o) }, err
	})
	each("gauge", third, func(name string) (func(otelmetric.MeasurementOption), error) {
		gauge, err := meter.Float64Gauge(name)
		return func(o otelmetric.MeasurementOption) { gauge.Record(ctx, 1, o) }, err
	})
	each("histogram", points-2*third, func(name string) (func(otelmetric.MeasurementOption), error) {
		histogram, err := meter.Float64Histogram(name)
		return func(o otelmetric.MeasurementOption) { histogram.Record(ctx, 12, o) }, err
	})
	return func() {
		for _, r := range records {
			r()
		}
	}
}
