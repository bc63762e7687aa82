package batch_test

import (
	"fmt"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// The rival of merging collections is copying each of them. Compare them with
// benchstat -col /op.
func BenchmarkMerge(b *testing.B) {
	for _, shape := range []struct {
		name   string
		make   func(i int) *metricdata.ResourceMetrics
		copies int
	}{
		{"mixed/points=1000/metrics=12", func(int) *metricdata.ResourceMetrics { return metrictest.Mixed(1000) }, 3},
		{"mixed/points=1000/metrics=100", func(int) *metricdata.ResourceMetrics { return manyMetrics(100, 10) }, 3},
		{"one missing/points=990/metrics=99", func(i int) *metricdata.ResourceMetrics { return oneMissing(manyMetrics(100, 10), 10*i) }, 3},
		{"mixed/points=1000/metrics=1000", func(int) *metricdata.ResourceMetrics { return manyMetrics(1000, 1) }, 3},
		{"mixed/points=100/metrics=100", func(int) *metricdata.ResourceMetrics { return manyMetrics(100, 1) }, 30},
		{"histograms/points=30000", func(int) *metricdata.ResourceMetrics { return metrictest.Histograms(30_000) }, 3},
		{"numbers/points=30000", func(int) *metricdata.ResourceMetrics { return metrictest.Numbers(30_000, 1) }, 3},
	} {
		var collections []*metricdata.ResourceMetrics
		for i := range shape.copies {
			collections = append(collections, shape.make(i))
		}
		b.Run(fmt.Sprintf("%s/collections=%d", shape.name, shape.copies), func(b *testing.B) {
			b.Run("op=merge", func(b *testing.B) { benchmarkMerge(b, collections) })
			b.Run("op=copy", func(b *testing.B) { benchmarkCopies(b, collections) })
		})
	}
}

// manyMetrics returns a collection of n metrics, a third each of Sum[int64],
// Gauge[float64] and Histogram[float64], of the given number of points.
func manyMetrics(n, points int) *metricdata.ResourceMetrics {
	var all []metricdata.Metrics
	for i := range n {
		metric := metrictest.Mixed(3 * points).ScopeMetrics[0].Metrics[i%3]
		metric.Name = fmt.Sprintf("service.subsystem.metric.%d", i)
		all = append(all, metric)
	}
	return metrics(all...)
}

// oneMissing leaves out a metric, as the SDK does if there was no measurement.
func oneMissing(rm *metricdata.ResourceMetrics, index int) *metricdata.ResourceMetrics {
	rm.ScopeMetrics[0].Metrics = slices.Delete(rm.ScopeMetrics[0].Metrics, index, index+1)
	return rm
}

func benchmarkMerge(b *testing.B, collections []*metricdata.ResourceMetrics) {
	var buffer batch.Buffer
	batch.Merge(&buffer, collections...)
	batch.Merge(&buffer, collections...)
	b.ReportAllocs()
	for b.Loop() {
		batch.Merge(&buffer, collections...)
	}
}

func benchmarkCopies(b *testing.B, collections []*metricdata.ResourceMetrics) {
	buffers := make([]batch.Buffer, len(collections))
	for range 2 {
		for i, rm := range collections {
			batch.Copy(&buffers[i], rm)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for i, rm := range collections {
			batch.Copy(&buffers[i], rm)
		}
	}
}

func BenchmarkHasRepeatedSeries(b *testing.B) {
	for _, shape := range []struct {
		name string
		rm   *metricdata.ResourceMetrics
	}{
		{"mixed/points=3000", metrictest.Mixed(3000)},
		{"mixed/points=300000", metrictest.Mixed(300_000)},
		{"mixed/points=1000/metrics=1000", manyMetrics(1000, 1)},
		{"one metric/points=100000", oneMetric(100_000)},
	} {
		b.Run(shape.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if batch.HasRepeatedSeries(shape.rm) {
					b.Fatal("nothing is repeated")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch.Points(shape.rm)), "ns/point")
		})
	}
}

func oneMetric(points int) *metricdata.ResourceMetrics {
	gauge := metricdata.Gauge[int64]{}
	for _, set := range metrictest.Series(points) {
		gauge.DataPoints = append(gauge.DataPoints, metricdata.DataPoint[int64]{Attributes: set})
	}
	return collectionWith(gauge)
}
