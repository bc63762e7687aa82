// Package observe is the metrics of an exporter about itself.
package observe

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/otelconv"

	"github.com/asyncmetric/asyncmetric/internal/contain"
)

// ComponentType is the otel.component.type of an exporter: the language-defined
// name of the type, as the semantic conventions ask for.
const ComponentType = "github.com/asyncmetric/asyncmetric.Exporter"

// bounds are those of the histograms, in seconds. A collection may be delivered
// at once, or after an outage.
var bounds = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}

// Metrics are the metrics of an exporter about itself. Its methods may be called
// concurrently, and on nil: then there are none. The instruments are code of the
// application: the first panic of one is reported, and none reaches the caller.
//
// What delivery does is counted where it happens, so that the last values are
// not lost when the exporter ends. What the queue knows is observed when metrics
// are collected, until Close.
type Metrics struct {
	meter  metric.Meter
	report func(error)

	exported  otelconv.SDKExporterMetricDataPointExported
	operation otelconv.SDKExporterOperationDuration
	drops     metric.Int64Counter
	retries   metric.Int64Counter
	latency   metric.Float64Histogram

	component attribute.Set
	callback  metric.Registration
	failed    atomic.Bool // a recording has panicked
}

// New returns the metrics of the exporter with the given name. An instrument
// that cannot be made is reported, and missing; the others work.
func New(name string, provider metric.MeterProvider, report func(error)) *Metrics {
	m := &Metrics{
		report: report,
		component: attribute.NewSet(
			semconv.OTelComponentName(name), semconv.OTelComponentTypeKey.String(ComponentType)),
		// Where making the instruments panics, these stay.
		drops:   noop.Int64Counter{},
		retries: noop.Int64Counter{},
		latency: noop.Float64Histogram{},
	}
	m.make(func() error {
		m.meter = provider.Meter("github.com/asyncmetric/asyncmetric", metric.WithSchemaURL(semconv.SchemaURL))
		return m.makeInstruments(m.meter)
	})
	return m
}

// make calls f, which makes instruments, and reports how it failed.
func (m *Metrics) make(f func() error) {
	if err := contain.Call("the MeterProvider", f); err != nil {
		m.report(fmt.Errorf("metrics of the exporter: %w", err))
	}
}

// record calls f, which records to instruments, and reports its first panic.
func (m *Metrics) record(f func()) {
	err := contain.Call("an instrument", func() error { f(); return nil })
	if err != nil && m.failed.CompareAndSwap(false, true) {
		m.report(fmt.Errorf("metrics of the exporter, further errors are not reported: %w", err))
	}
}

// makeInstruments makes the instruments that are recorded to.
func (m *Metrics) makeInstruments(meter metric.Meter) error {
	var errs [5]error
	m.exported, errs[0] = otelconv.NewSDKExporterMetricDataPointExported(meter)
	m.operation, errs[1] = otelconv.NewSDKExporterOperationDuration(meter, metric.WithExplicitBucketBoundaries(bounds...))
	m.drops, errs[2] = meter.Int64Counter("asyncmetric.data_points.dropped",
		metric.WithUnit("{data_point}"),
		metric.WithDescription("The number of data points that ended without being exported, by reason."))
	m.retries, errs[3] = meter.Int64Counter("asyncmetric.export.retries",
		metric.WithUnit("{retry}"),
		metric.WithDescription("The number of attempts to export a batch that repeated an earlier one."))
	m.latency, errs[4] = meter.Float64Histogram("asyncmetric.delivery.latency",
		metric.WithUnit("s"),
		metric.WithDescription("The time from Export of a collection until it has been delivered."),
		metric.WithExplicitBucketBoundaries(bounds...))
	// With an error there may be no instrument; those of otelconv see to that.
	if errs[2] != nil {
		m.drops = noop.Int64Counter{}
	}
	if errs[3] != nil {
		m.retries = noop.Int64Counter{}
	}
	if errs[4] != nil {
		m.latency = noop.Float64Histogram{}
	}
	return errors.Join(errs[:]...)
}

// Retried counts an attempt that repeats an earlier one.
func (m *Metrics) Retried() {
	if m == nil {
		return
	}
	m.record(func() {
		m.retries.Add(context.Background(), 1, metric.WithAttributeSet(m.component))
	})
}

// Dropped counts data points that were dropped, by whatever decided on it.
func (m *Metrics) Dropped(points int, reason string) {
	if m == nil {
		return
	}
	m.record(func() {
		m.drops.Add(context.Background(), int64(points),
			metric.WithAttributeSet(m.with(attribute.String("reason", reason))))
	})
}

// Concluded records how long a batch took from its first attempt to the end of
// the last one. The error type is that of the last attempt, the zero value if it
// succeeded.
func (m *Metrics) Concluded(took time.Duration, errorType attribute.KeyValue) {
	if m == nil {
		return
	}
	m.record(func() {
		m.operation.RecordSet(context.Background(), took.Seconds(), m.with(errorType))
	})
}

// Exported counts data points whose delivery has ended: with the zero error type
// they have been exported.
func (m *Metrics) Exported(points int, errorType attribute.KeyValue) {
	if m == nil || points == 0 {
		return
	}
	m.record(func() {
		m.exported.AddSet(context.Background(), int64(points), m.with(errorType))
	})
}

// Delivered records how long ago a collection was accepted that has now been
// delivered.
func (m *Metrics) Delivered(latency time.Duration) {
	if m == nil {
		return
	}
	m.record(func() {
		m.latency.Record(context.Background(), latency.Seconds(), metric.WithAttributeSet(m.component))
	})
}

// with returns the attributes of the component and kv, unless that is zero.
func (m *Metrics) with(kv attribute.KeyValue) attribute.Set {
	if !kv.Valid() {
		return m.component
	}
	return attribute.NewSet(append(m.component.ToSlice(), kv)...)
}
