package batch_test

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// The rival of a copy is memmove of as many bytes. Compare them with
// benchstat -col /op.
func BenchmarkCopy(b *testing.B) {
	for _, shape := range []struct {
		name string
		make func(points int) *metricdata.ResourceMetrics
	}{
		{"mixed", metrictest.Mixed},
		{"numbers", func(points int) *metricdata.ResourceMetrics { return metrictest.Numbers(points, 1) }},
		{"histograms", metrictest.Histograms},
	} {
		for _, points := range []int{300, 3000, 30_000, 300_000} {
			b.Run(fmt.Sprintf("%s/points=%d", shape.name, points), func(b *testing.B) {
				source := shape.make(points)
				size := metrictest.Bytes(source)
				b.Run("op=copy", func(b *testing.B) { benchmarkCopy(b, source, size) })
				b.Run("op=memmove", func(b *testing.B) { benchmarkMemmove(b, size) })
			})
		}
	}
}

func benchmarkCopy(b *testing.B, source *metricdata.ResourceMetrics, size int) {
	var buffer batch.Buffer
	batch.Copy(&buffer, source)
	batch.Copy(&buffer, source)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		batch.Copy(&buffer, source)
	}
}

func benchmarkMemmove(b *testing.B, size int) {
	dst, src := make([]byte, size), make([]byte, size)
	for i := range src {
		src[i] = byte(i) // so that its pages are real
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		copy(dst, src)
	}
}

// What a sender does with a large collection.
func BenchmarkSplit(b *testing.B) {
	source := metrictest.Mixed(300_000)
	size := metrictest.Bytes(source)
	b.Run("points=300000/max=8192/op=copy", func(b *testing.B) {
		var buffer batch.Buffer
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			for part := range batch.Split(source, 8192) {
				part.Copy(&buffer)
			}
		}
	})
	b.Run("points=300000/max=8192/op=memmove", func(b *testing.B) { benchmarkMemmove(b, size) })
}

func BenchmarkPoints(b *testing.B) {
	for _, points := range []int{3000, 300_000} {
		source := metrictest.Mixed(points)
		b.Run(fmt.Sprintf("points=%d", points), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				batch.Points(source)
			}
		})
	}
}
