package observe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/semconv/v1.43.0/otelconv"

	"github.com/asyncmetric/asyncmetric/internal/contain"
)

// A State is what the observed metrics show.
type State struct {
	InFlight  int           // data points that are being delivered
	Queued    int           // data points in the queue, in flight included
	Capacity  int           // how many may wait; zero if that has no bound
	OldestAge time.Duration // of what is queued
	Coalesced uint64        // data points, since the start
	Refused   uint64        // data points, since the start
	Exemplars uint64        // those left out, since the start

	CountsBytes   bool  // whether the queue knows how many bytes there are
	Bytes         int64 // what counts against the capacity
	CapacityBytes int64 // how many may wait; zero if that has no bound
}

// Observe shows what state returns from now on, until Close.
func (m *Metrics) Observe(state func() State) {
	if m != nil {
		m.make(func() error { return m.register(m.meter, state) })
	}
}

// register makes the instruments that show the state.
func (m *Metrics) register(meter metric.Meter, state func() State) error {
	var errs []error
	var instruments []metric.Observable
	var observations []func(metric.Observer, State)
	component := metric.WithAttributeSet(m.component)
	// One that could not be made must not keep the others from being registered.
	add := func(instrument metric.Observable, err error, observe func(metric.Observer, State)) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		instruments = append(instruments, instrument)
		observations = append(observations, observe)
	}

	inflight, err := otelconv.NewSDKExporterMetricDataPointInflightObservable(meter)
	add(inflight.Inst(), err, func(o metric.Observer, s State) {
		o.ObserveInt64(inflight.Inst(), int64(s.InFlight), component)
	})
	size, err := meter.Int64ObservableUpDownCounter("asyncmetric.queue.size",
		metric.WithUnit("{data_point}"),
		metric.WithDescription("The number of data points in the queue, those that are being delivered included."))
	add(size, err, func(o metric.Observer, s State) { o.ObserveInt64(size, int64(s.Queued), component) })
	capacity, err := meter.Int64ObservableUpDownCounter("asyncmetric.queue.capacity",
		metric.WithUnit("{data_point}"),
		metric.WithDescription("The maximum number of data points that may wait in the queue; those that are being delivered come on top."))
	add(capacity, err, func(o metric.Observer, s State) {
		if s.Capacity > 0 {
			o.ObserveInt64(capacity, int64(s.Capacity), component)
		}
	})
	usage, err := meter.Int64ObservableUpDownCounter("asyncmetric.queue.usage",
		metric.WithUnit("By"),
		metric.WithDescription("The number of bytes that what waits in the queue takes, memory kept for the next collections included."))
	add(usage, err, func(o metric.Observer, s State) {
		if s.CountsBytes {
			o.ObserveInt64(usage, s.Bytes, component)
		}
	})
	limit, err := meter.Int64ObservableUpDownCounter("asyncmetric.queue.limit",
		metric.WithUnit("By"),
		metric.WithDescription("The maximum number of bytes that what waits in the queue may take; what is being delivered comes on top."))
	add(limit, err, func(o metric.Observer, s State) {
		if s.CapacityBytes > 0 {
			o.ObserveInt64(limit, s.CapacityBytes, component)
		}
	})
	oldest, err := meter.Float64ObservableGauge("asyncmetric.queue.oldest_age",
		metric.WithUnit("s"),
		metric.WithDescription("How long ago the oldest collection in the queue was accepted; 0 if the queue is empty."))
	add(oldest, err, func(o metric.Observer, s State) { o.ObserveFloat64(oldest, s.OldestAge.Seconds(), component) })
	coalesced, err := meter.Int64ObservableCounter("asyncmetric.data_points.coalesced",
		metric.WithUnit("{data_point}"),
		metric.WithDescription("The number of data points that became part of a later one of their series because the queue was full."))
	add(coalesced, err, func(o metric.Observer, s State) { o.ObserveInt64(coalesced, int64(s.Coalesced), component) })
	refused, err := meter.Int64ObservableCounter("asyncmetric.data_points.refused",
		metric.WithUnit("{data_point}"),
		metric.WithDescription("The number of data points for which Export returned an error."))
	add(refused, err, func(o metric.Observer, s State) { o.ObserveInt64(refused, int64(s.Refused), component) })

	exemplars, err := meter.Int64ObservableCounter("asyncmetric.exemplars.dropped",
		metric.WithUnit("{exemplar}"),
		metric.WithDescription("The number of exemplars that were left out of what waits because the queue was short of memory."))
	add(exemplars, err, func(o metric.Observer, s State) { o.ObserveInt64(exemplars, int64(s.Exemplars), component) })

	m.callback, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := state()
		for _, observe := range observations {
			observe(o, s)
		}
		return nil
	}, instruments...)
	return errors.Join(append(errs, err)...)
}

// Close ends the observations, so that the provider keeps nothing of the
// exporter alive, and sends the result. That waits for a collection of metrics
// under way, and so for callbacks of the application: a goroutine does it.
func (m *Metrics) Close() <-chan error {
	result := make(chan error, 1)
	if m == nil || m.callback == nil {
		result <- nil
		return result
	}
	go func() {
		err := contain.Call("the MeterProvider", m.callback.Unregister)
		if err != nil {
			err = fmt.Errorf("metrics of the exporter: %w", err)
		}
		result <- err
	}()
	return result
}
