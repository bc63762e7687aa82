package rival

import (
	"context"
	"syscall"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// counting is an exporter that counts what it gets.
type counting struct {
	sdkmetric.Exporter // the methods that nothing calls
	got                chan struct{}
}

func (c counting) Export(context.Context, *metricdata.ResourceMetrics) error {
	c.got <- struct{}{}
	return nil
}

func (counting) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (counting) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

func (counting) ForceFlush(context.Context) error { return nil }
func (counting) Shutdown(context.Context) error   { return nil }

// BenchmarkBurst exports 20 collections of 3 000 points at once and waits until
// the inner exporter has had them. It reports the processor time of a point, of
// all goroutines and the garbage collector.
func BenchmarkBurst(b *testing.B) {
	const burst, points = 20, 3000
	run := func(b *testing.B, e sdkmetric.Exporter, got <-chan struct{}) {
		rm := metrictest.Mixed(points)
		cycle := func() {
			for range burst {
				if err := e.Export(b.Context(), rm); err != nil {
					b.Fatal(err)
				}
			}
			for range burst {
				<-got
			}
		}
		for range 3 {
			cycle()
		}
		begin := processorTime()
		for b.Loop() {
			cycle()
		}
		b.ReportMetric(float64((processorTime()-begin).Nanoseconds())/float64(b.N*burst*points), "cpu-ns/point")
		if err := e.Shutdown(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("op=asyncmetric", func(b *testing.B) {
		inner := counting{got: make(chan struct{}, burst)}
		e, err := asyncmetric.New(inner)
		if err != nil {
			b.Fatal(err)
		}
		run(b, e, inner.got)
	})
	b.Run("op=handwritten", func(b *testing.B) {
		inner := counting{got: make(chan struct{}, burst)}
		h := &handWritten{
			Exporter: inner, inner: []sdkmetric.Exporter{inner}, collections: make(chan *metricdata.ResourceMetrics, burst),
		}
		h.working.Go(func() { h.work(inner) })
		run(b, h, inner.got)
	})
}

// processorTime returns what the process has used so far.
func processorTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails only for a bad argument
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
