package rival

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// A Sink is a target that does nothing but count points, or that is absent.
type Sink struct {
	// Gate, if not nil, has all calls wait until it is closed.
	Gate chan struct{}
	// Absent has all calls fail as when nobody listens.
	Absent bool

	points atomic.Int64
}

// Points returns how many points have been delivered.
func (s *Sink) Points() int { return int(s.points.Load()) }

// Await returns when so many points have been delivered, or with the error of
// ctx.
func (s *Sink) Await(ctx context.Context, points int) error {
	for s.Points() < points {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d points: %w", s.Points(), points, ctx.Err())
		case <-time.After(100 * time.Microsecond):
		}
	}
	return nil
}

// Temporality implements [Target].
func (s *Sink) Temporality() sdkmetric.TemporalitySelector {
	return sdkmetric.DefaultTemporalitySelector
}

// Exporter implements [Target].
func (s *Sink) Exporter(context.Context, ExporterRetries) (sdkmetric.Exporter, error) {
	return sinkExporter{s}, nil
}

// Push implements [Target].
func (s *Sink) Push(_ context.Context, md pmetric.Metrics) error { return s.take(md.DataPointCount()) }

func (s *Sink) take(points int) error {
	if s.Gate != nil {
		<-s.Gate
	}
	if s.Absent {
		return fmt.Errorf("absent on purpose: %w", syscall.ECONNREFUSED)
	}
	s.points.Add(int64(points))
	return nil
}

// sinkExporter is a sink for the SDK.
type sinkExporter struct{ sink *Sink }

// Temporality implements [sdkmetric.Exporter].
func (e sinkExporter) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return e.sink.Temporality()(k)
}

// Aggregation implements [sdkmetric.Exporter].
func (e sinkExporter) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

// Export implements [sdkmetric.Exporter].
func (e sinkExporter) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	return e.sink.take(batch.Points(rm))
}

// ForceFlush implements [sdkmetric.Exporter].
func (e sinkExporter) ForceFlush(context.Context) error { return nil }

// Shutdown implements [sdkmetric.Exporter].
func (e sinkExporter) Shutdown(context.Context) error { return nil }
