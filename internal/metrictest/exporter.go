package metrictest

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// Exporter is an inner exporter that records what it gets and does what a test
// tells it to. It counts the calls that overlap with another one, which the
// contract of metric.Exporter forbids.
type Exporter struct {
	// OnExport, OnForceFlush and OnShutdown decide what the calls return; nil
	// means success. They are called without a lock, after the call has been
	// recorded. Set them before the exporter is used.
	OnExport     func(context.Context, *metricdata.ResourceMetrics) error
	OnForceFlush func(context.Context) error
	OnShutdown   func(context.Context) error

	// OnTemporality and OnAggregation are the selectors; nil means those of the
	// SDK.
	OnTemporality metric.TemporalitySelector
	OnAggregation metric.AggregationSelector

	busy sync.Mutex // held during a call

	mu        sync.Mutex
	attempts  []*metricdata.ResourceMetrics
	delivered []*metricdata.ResourceMetrics
	calls     []string
	overlaps  int
}

var _ metric.Exporter = (*Exporter)(nil)

func (e *Exporter) Temporality(k metric.InstrumentKind) metricdata.Temporality {
	if e.OnTemporality != nil {
		return e.OnTemporality(k)
	}
	return metric.DefaultTemporalitySelector(k)
}

func (e *Exporter) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	if e.OnAggregation != nil {
		return e.OnAggregation(k)
	}
	return metric.DefaultAggregationSelector(k)
}

func (e *Exporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) (err error) {
	defer e.enter("Export")()
	seen := batch.Copy(nil, rm)
	e.mu.Lock()
	e.attempts = append(e.attempts, seen)
	e.mu.Unlock()
	if e.OnExport != nil {
		err = e.OnExport(ctx, rm)
	}
	if err == nil {
		e.mu.Lock()
		e.delivered = append(e.delivered, seen)
		e.mu.Unlock()
	}
	return err
}

func (e *Exporter) ForceFlush(ctx context.Context) error {
	defer e.enter("ForceFlush")()
	if e.OnForceFlush != nil {
		return e.OnForceFlush(ctx)
	}
	return nil
}

func (e *Exporter) Shutdown(ctx context.Context) error {
	defer e.enter("Shutdown")()
	if e.OnShutdown != nil {
		return e.OnShutdown(ctx)
	}
	return nil
}

// enter records a call and returns what ends it.
func (e *Exporter) enter(call string) (leave func()) {
	alone := e.busy.TryLock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, call)
	if !alone {
		e.overlaps++
		return func() {}
	}
	return e.busy.Unlock
}

// Attempts returns copies of what Export was called with, in order.
func (e *Exporter) Attempts() []*metricdata.ResourceMetrics {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*metricdata.ResourceMetrics(nil), e.attempts...)
}

// Delivered returns copies of what Export was called with and returned nil
// for, in order.
func (e *Exporter) Delivered() []*metricdata.ResourceMetrics {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*metricdata.ResourceMetrics(nil), e.delivered...)
}

// Calls returns the names of the methods that were called, in order.
func (e *Exporter) Calls() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.calls...)
}

// Count returns how often a method was called.
func (e *Exporter) Count(call string) int {
	n := 0
	for _, c := range e.Calls() {
		if c == call {
			n++
		}
	}
	return n
}

// Overlaps returns how many calls began while another was under way.
func (e *Exporter) Overlaps() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.overlaps
}

// Value returns the value of the first point of a collection from Numbers.
func Value(rm *metricdata.ResourceMetrics) int64 {
	return rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints[0].Value
}

// Values returns Value of each collection.
func Values(rms []*metricdata.ResourceMetrics) []int64 {
	values := make([]int64, len(rms))
	for i, rm := range rms {
		values[i] = Value(rm)
	}
	return values
}
