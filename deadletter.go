package asyncmetric

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/internal/contain"
)

// A deadLetter gives what is refused for good to an exporter that queues it. Its
// methods do nothing if it is nil.
type deadLetter struct {
	exporter metric.Exporter
	age      func() time.Duration // how long the oldest that it queues has waited
	timeout  time.Duration        // of one of its exports

	added atomic.Bool // since the last await
	late  bool        // the last await was in vain; of the worker
}

// add queues a copy of what a drop is about, with the reason in its resource.
func (l *deadLetter) add(rm *metricdata.ResourceMetrics, d Drop) error {
	if l == nil {
		return nil
	}
	why, err := resource.Merge(rm.Resource, resource.NewSchemaless(
		attribute.String("asyncmetric.drop.reason", string(d.Reason)),
		attribute.String("asyncmetric.drop.error", contain.Text(d.Err)),
		attribute.Int("asyncmetric.drop.attempts", d.Attempts),
		attribute.String("asyncmetric.drop.exporter", d.Exporter),
	))
	if err != nil {
		return fmt.Errorf("the dead letter: %w", err)
	}
	l.added.Store(true)
	return l.exporter.Export(context.Background(), &metricdata.ResourceMetrics{Resource: why, ScopeMetrics: rm.ScopeMetrics})
}

// await waits until the dead letter has what it was given, for the export timeout
// at most, and not at all while it fails from before.
func (l *deadLetter) await(ctx context.Context) {
	if l == nil || !l.added.Swap(false) {
		return
	}
	if l.late && l.age() >= l.timeout {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	l.late = l.exporter.ForceFlush(ctx) != nil
}

func (l *deadLetter) flush(ctx context.Context) error {
	if l == nil {
		return nil
	}
	return l.exporter.ForceFlush(ctx)
}

func (l *deadLetter) shutdown(ctx context.Context) error {
	if l == nil {
		return nil
	}
	return l.exporter.Shutdown(ctx)
}
