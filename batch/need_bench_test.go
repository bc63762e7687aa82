package batch_test

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// The rival is a copy of the same collection in a used buffer. Compare with
// benchstat -col /op.
func BenchmarkBytes(b *testing.B) {
	for name, shape := range map[string]func(points int) *metricdata.ResourceMetrics{
		"numbers":    func(points int) *metricdata.ResourceMetrics { return metrictest.Numbers(points, 1) },
		"histograms": metrictest.Histograms,
		"exemplars":  memoryShapes["exemplars"],
	} {
		for _, points := range []int{30, 3000, 300_000} {
			source := shape(points)
			var buffer batch.Buffer
			for op, f := range map[string]func(){
				"bytes":   func() { batch.Bytes(source) },
				"copy":    func() { batch.Copy(&buffer, source) },
				"newcopy": func() { batch.Copy(nil, source) },
			} {
				b.Run(fmt.Sprintf("%s/points=%d/op=%s", name, points, op), func(b *testing.B) {
					benchmarkPerPoint(b, points, f)
				})
			}
		}
	}
}

func benchmarkPerPoint(b *testing.B, points int, f func()) {
	f()
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(points), "ns/point")
}

// Sets that are made anew cost more than shared ones.
func BenchmarkSetMeter(b *testing.B) {
	for _, points := range []int{30, 300, 3000, 300_000} {
		source := metrictest.Numbers(points, 1)
		others := make([]*metricdata.ResourceMetrics, max(2, 60_000/points))
		for i := range others {
			others[i] = metrictest.Numbers(points, 1)
		}
		var buffer batch.Buffer
		var meter batch.SetMeter
		i := 0
		for op, f := range map[string]func(){
			"copy":   func() { batch.Copy(&buffer, source) },
			"shared": func() { meter.Unshared(source) },
			"anew":   func() { meter.Unshared(others[i%len(others)]); i++ },
		} {
			b.Run(fmt.Sprintf("points=%d/op=%s", points, op), func(b *testing.B) { benchmarkPerPoint(b, points, f) })
		}
	}
}
