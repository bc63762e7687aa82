package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/otelconv"

	"github.com/asyncmetric/asyncmetric/queue"
)

// componentType is the otel.component.type of an Exporter: the language-defined
// name of the type, as the semantic conventions ask for.
const componentType = "github.com/asyncmetric/asyncmetric.Exporter"

// instances counts the exporters of the process.
var instances atomic.Int64

// nextName returns a name that no other exporter of the process has.
func nextName() string { return fmt.Sprintf("%s/%d", componentType, instances.Add(1)-1) }

// bounds are those of the histograms, in seconds. A collection may be delivered
// at once, or after an outage.
var bounds = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}

// telemetry is the metrics of an exporter about itself. Its methods may be
// called concurrently, and on nil: then there are none.
//
// What delivery does is counted where it happens, so that the last values are
// not lost when the exporter ends. What the queue knows is observed when metrics
// are collected, until close.
type telemetry struct {
	meter   metric.Meter
	handler otel.ErrorHandler

	exported  otelconv.SDKExporterMetricDataPointExported
	operation otelconv.SDKExporterOperationDuration
	drops     metric.Int64Counter
	retries   metric.Int64Counter
	latency   metric.Float64Histogram

	component attribute.Set
	callback  metric.Registration
}

// newTelemetry returns nil if no metrics are wanted. An instrument that cannot
// be made is reported, and missing; the others work.
func newTelemetry(name string, c *config) *telemetry {
	if c.meterProvider == nil {
		return nil
	}
	t := &telemetry{
		meter:   c.meterProvider.Meter("github.com/asyncmetric/asyncmetric", metric.WithSchemaURL(semconv.SchemaURL)),
		handler: c.errorHandler,
		component: attribute.NewSet(
			semconv.OTelComponentName(name), semconv.OTelComponentTypeKey.String(componentType)),
	}
	t.report(t.count(t.meter))
	return t
}

// observeQueue shows the queue from now on.
func (t *telemetry) observeQueue(q queue.Queue) {
	if t != nil {
		t.report(t.observe(t.meter, q))
	}
}

func (t *telemetry) report(err error) {
	if err != nil {
		t.handler.Handle(fmt.Errorf("asyncmetric: metrics of the exporter: %w", err))
	}
}

// count makes the instruments that are recorded to.
func (t *telemetry) count(meter metric.Meter) error {
	var errs [5]error
	t.exported, errs[0] = otelconv.NewSDKExporterMetricDataPointExported(meter)
	t.operation, errs[1] = otelconv.NewSDKExporterOperationDuration(meter, metric.WithExplicitBucketBoundaries(bounds...))
	t.drops, errs[2] = meter.Int64Counter("asyncmetric.data_points.dropped",
		metric.WithUnit("{data_point}"),
		metric.WithDescription("The number of data points that ended without being exported, by reason."))
	t.retries, errs[3] = meter.Int64Counter("asyncmetric.export.retries",
		metric.WithUnit("{retry}"),
		metric.WithDescription("The number of attempts to export a batch that repeated an earlier one."))
	t.latency, errs[4] = meter.Float64Histogram("asyncmetric.delivery.latency",
		metric.WithUnit("s"),
		metric.WithDescription("The time from Export of a collection until it has been delivered."),
		metric.WithExplicitBucketBoundaries(bounds...))
	// With an error there may be no instrument; those of otelconv see to that.
	if errs[2] != nil {
		t.drops = noop.Int64Counter{}
	}
	if errs[3] != nil {
		t.retries = noop.Int64Counter{}
	}
	if errs[4] != nil {
		t.latency = noop.Float64Histogram{}
	}
	return errors.Join(errs[:]...)
}

// observe makes the instruments that show the queue.
func (t *telemetry) observe(meter metric.Meter, q queue.Queue) error {
	var errs []error
	var instruments []metric.Observable
	var observations []func(metric.Observer, queue.Stats)
	component := metric.WithAttributeSet(t.component)
	// One that could not be made must not keep the others from being registered.
	add := func(instrument metric.Observable, err error, observe func(metric.Observer, queue.Stats)) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		instruments = append(instruments, instrument)
		observations = append(observations, observe)
	}

	inflight, err := otelconv.NewSDKExporterMetricDataPointInflightObservable(meter)
	add(inflight.Inst(), err, func(o metric.Observer, s queue.Stats) {
		o.ObserveInt64(inflight.Inst(), int64(s.InFlight), component)
	})
	size, err := meter.Int64ObservableUpDownCounter("asyncmetric.queue.size",
		metric.WithUnit("{data_point}"),
		metric.WithDescription("The number of data points in the queue, those that are being delivered included."))
	add(size, err, func(o metric.Observer, s queue.Stats) {
		o.ObserveInt64(size, int64(s.Queued), component)
	})
	capacity, err := meter.Int64ObservableUpDownCounter("asyncmetric.queue.capacity",
		metric.WithUnit("{data_point}"),
		metric.WithDescription("The maximum number of data points that may wait in the queue; those that are being delivered come on top."))
	add(capacity, err, func(o metric.Observer, s queue.Stats) {
		if s.Capacity > 0 {
			o.ObserveInt64(capacity, int64(s.Capacity), component)
		}
	})
	oldest, err := meter.Float64ObservableGauge("asyncmetric.queue.oldest_age",
		metric.WithUnit("s"),
		metric.WithDescription("How long ago the oldest collection in the queue was exported; 0 if the queue is empty."))
	add(oldest, err, func(o metric.Observer, s queue.Stats) {
		o.ObserveFloat64(oldest, ageOf(s.Oldest).Seconds(), component)
	})
	coalesced, err := meter.Int64ObservableCounter("asyncmetric.data_points.coalesced",
		metric.WithUnit("{data_point}"),
		metric.WithDescription("The number of data points that were taken up by a later one of their series because the queue was full."))
	add(coalesced, err, func(o metric.Observer, s queue.Stats) {
		o.ObserveInt64(coalesced, int64(s.Coalesced), component)
	})

	t.callback, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := q.Stats()
		for _, observe := range observations {
			observe(o, s)
		}
		return nil
	}, instruments...)
	return errors.Join(append(errs, err)...)
}

// close ends the observations, so that nothing of the exporter is kept alive, and
// sends the result. That waits for a collection of metrics under way, and so for
// callbacks of the application: a goroutine does it.
func (t *telemetry) close() <-chan error {
	result := make(chan error, 1)
	if t == nil || t.callback == nil {
		result <- nil
		return result
	}
	go func() {
		err := protect("the MeterProvider", t.callback.Unregister)
		if err != nil {
			err = fmt.Errorf("asyncmetric: metrics of the exporter: %w", err)
		}
		result <- err
	}()
	return result
}

func (t *telemetry) retried() {
	if t != nil {
		t.retries.Add(context.Background(), 1, metric.WithAttributeSet(t.component))
	}
}

// dropped counts a drop, whoever decided on it.
func (t *telemetry) dropped(d Drop) {
	if t != nil {
		t.drops.Add(context.Background(), int64(d.Points),
			metric.WithAttributeSet(t.with(attribute.String("reason", string(d.Reason)))))
	}
}

// concluded records how long a batch took from its first attempt to the end of
// the last one, which returned err.
func (t *telemetry) concluded(took time.Duration, err error) {
	if t == nil {
		return
	}
	set := t.component
	if err != nil {
		set = t.with(errorType(err))
	}
	t.operation.RecordSet(context.Background(), took.Seconds(), set)
}

// delivered records what came of a shipment.
func (t *telemetry) delivered(s *shipment) {
	if t == nil {
		return
	}
	ctx := context.Background()
	if s.exported > 0 {
		t.exported.AddSet(ctx, int64(s.exported), t.component)
	}
	dropped := s.dropped // the oldest, as in settle
	for _, entry := range s.entries {
		if dropped -= entry.Points(); dropped < 0 {
			t.latency.Record(ctx, ageOf(entry.Accepted()).Seconds(), metric.WithAttributeSet(t.component))
		}
	}
	for _, d := range s.drops {
		t.exported.AddSet(ctx, int64(d.Points), t.with(dropErrorType(d)))
	}
}

func (t *telemetry) with(kv attribute.KeyValue) attribute.Set {
	return attribute.NewSet(append(t.component.ToSlice(), kv)...)
}

// dropErrorType returns why data points that were to be delivered were not.
func dropErrorType(d Drop) attribute.KeyValue {
	switch d.Reason {
	case queue.ReasonPermanent, queue.ReasonElapsed:
		return errorType(d.Err)
	default:
		return semconv.ErrorTypeKey.String(string(d.Reason))
	}
}

// errorType classifies the error of an exporter, whose methods may panic.
func errorType(err error) (kv attribute.KeyValue) {
	panicked := protect("an error", func() error {
		switch _, accepted := partialSuccess(err); {
		case accepted:
			kv = semconv.ErrorTypeKey.String("rejected") // the conventions' word for it
		case errors.Is(err, errDrainOver):
			kv = semconv.ErrorTypeKey.String(string(queue.ReasonShutdown))
		case errors.Is(err, ErrPanic):
			kv = semconv.ErrorTypeKey.String("panic")
		case errors.Is(err, context.DeadlineExceeded):
			kv = semconv.ErrorTypeKey.String("timeout")
		default:
			kv = semconv.ErrorType(err)
			for e := range chain(err) {
				if status, ok := grpcStatusOf(e); ok {
					kv = status.errorType()
				}
			}
		}
		return nil
	})
	if panicked != nil {
		return semconv.ErrorTypeOther
	}
	return kv
}
