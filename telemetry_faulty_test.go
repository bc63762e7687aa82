package asyncmetric_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

var errMeter = errors.New("no instrument")

// faulty is a MeterProvider some of whose instruments cannot be made.
type faulty struct {
	apimetric.MeterProvider
	fails func(name string) bool
}

func (p faulty) Meter(name string, opts ...apimetric.MeterOption) apimetric.Meter {
	return faultyMeter{p.MeterProvider.Meter(name, opts...), p.fails}
}

type faultyMeter struct {
	apimetric.Meter
	fails func(name string) bool
}

func (m faultyMeter) Int64Counter(name string, opts ...apimetric.Int64CounterOption) (apimetric.Int64Counter, error) {
	if m.fails(name) {
		return nil, errMeter
	}
	return m.Meter.Int64Counter(name, opts...)
}

func (m faultyMeter) Float64Histogram(name string, opts ...apimetric.Float64HistogramOption) (apimetric.Float64Histogram, error) {
	if m.fails(name) {
		return nil, errMeter
	}
	return m.Meter.Float64Histogram(name, opts...)
}

func (m faultyMeter) Int64ObservableCounter(
	name string, opts ...apimetric.Int64ObservableCounterOption,
) (apimetric.Int64ObservableCounter, error) {
	if m.fails(name) {
		return nil, errMeter
	}
	return m.Meter.Int64ObservableCounter(name, opts...)
}

func (m faultyMeter) Int64ObservableUpDownCounter(
	name string, opts ...apimetric.Int64ObservableUpDownCounterOption,
) (apimetric.Int64ObservableUpDownCounter, error) {
	if m.fails(name) {
		return nil, errMeter
	}
	return m.Meter.Int64ObservableUpDownCounter(name, opts...)
}

func (m faultyMeter) Float64ObservableGauge(
	name string, opts ...apimetric.Float64ObservableGaugeOption,
) (apimetric.Float64ObservableGauge, error) {
	if m.fails(name) {
		return nil, errMeter
	}
	return m.Meter.Float64ObservableGauge(name, opts...)
}

func (m faultyMeter) RegisterCallback(f apimetric.Callback, insts ...apimetric.Observable) (apimetric.Registration, error) {
	if m.fails("RegisterCallback") {
		return nil, errMeter
	}
	return m.Meter.RegisterCallback(f, insts...)
}

// meterFaults are what can go wrong: each instrument, and their callback.
var meterFaults = []string{
	"otel.sdk.exporter.metric_data_point.exported", "otel.sdk.exporter.metric_data_point.inflight",
	"otel.sdk.exporter.operation.duration", "asyncmetric.delivery.latency",
	"asyncmetric.data_points.dropped", "asyncmetric.data_points.coalesced", "asyncmetric.export.retries",
	"asyncmetric.queue.size", "asyncmetric.queue.capacity", "asyncmetric.queue.oldest_age",
	"asyncmetric.queue.usage", "asyncmetric.queue.limit", "asyncmetric.exemplars.dropped",
	"RegisterCallback",
}

func TestTelemetryLacksOnlyTheInstrumentThatCannotBeMade(t *testing.T) {
	for _, fault := range meterFaults {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				whole := newMeters()
				e, inner := exerciseAll(t, whole)
				want := whole.of(t, e)
				shutdown(t, e, inner)

				m := newMeters()
				e, inner, errs := exerciseWith(t, faulty{m, func(name string) bool { return name == fault }})
				for name := range want {
					_, observed := idle()[name]
					if strings.HasPrefix(name, shorten(fault)) || observed && fault == "RegisterCallback" {
						delete(want, name)
					}
				}
				assert.Equal(t, want, m.of(t, e))
				require.NotEmpty(t, errs)
				assert.ErrorIs(t, errs[0], errMeter)
				assert.ErrorContains(t, errs[0], ": metrics of the exporter: ")
				shutdown(t, e, inner)
				assert.NotContains(t, m.of(t, e), "queue.size")
			})
		})
	}
}

func TestTelemetryLacksOnlyTheInstrumentThatAViewForbids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeters(metric.WithView(metric.NewView(
			metric.Instrument{Name: "otel.sdk.exporter.metric_data_point.inflight"},
			metric.Stream{Aggregation: metric.AggregationLastValue{}}, // which is not for one of its kind
		)))
		e, inner, errs := exerciseWith(t, m)
		require.NotEmpty(t, errs)
		assert.ErrorContains(t, errs[0], "incompatible aggregation")
		got := m.of(t, e)
		assert.NotContains(t, got, "metric_data_point.inflight")
		assert.Contains(t, got, "queue.size")
		shutdown(t, e, inner)
	})
}

func TestTelemetryWithoutAnyInstrument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, inner, errs := exerciseWith(t, faulty{noop.NewMeterProvider(), func(string) bool { return true }})
		require.NotEmpty(t, errs)
		assert.ErrorIs(t, errs[0], errMeter)
		shutdown(t, e, inner)
		assert.Equal(t, asyncmetric.Stats{Accepted: 2, Exported: 1, Dropped: 1, Retries: 1}, e.Stats())
	})
}

func TestTelemetryOfAProviderThatDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, inner, errs := exerciseWith(t, noop.NewMeterProvider())
		assert.Len(t, errs, 3, "of the batches")
		shutdown(t, e, inner)
	})
}

// clinging is a MeterProvider whose callbacks are unregistered as a test wants.
type clinging struct {
	apimetric.MeterProvider
	unregister func() error
}

type clingingMeter struct {
	apimetric.Meter
	unregister func() error
}

type clingingRegistration struct {
	noop.Registration
	unregister func() error
}

func (p clinging) Meter(name string, opts ...apimetric.MeterOption) apimetric.Meter {
	return clingingMeter{p.MeterProvider.Meter(name, opts...), p.unregister}
}

func (m clingingMeter) RegisterCallback(apimetric.Callback, ...apimetric.Observable) (apimetric.Registration, error) {
	return clingingRegistration{unregister: m.unregister}, nil
}

func (r clingingRegistration) Unregister() error { return r.unregister() }

func TestShutdownReturnsThatTelemetryCannotBeUnregistered(t *testing.T) {
	e, _ := start(t, &metrictest.Exporter{}, asyncmetric.WithMeterProvider(clinging{
		newMeters(), func() error { return errMeter },
	}))
	err := e.Shutdown(t.Context())
	assert.ErrorIs(t, err, errMeter)
	assert.ErrorContains(t, err, ": metrics of the exporter: ")
}

// The SDK unregisters a callback when the collection under way has ended, and
// so has whatever the application does in it.
func TestShutdownWaitsForTelemetryWithinItsContext(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			inner := &metrictest.Exporter{}
			e, _ := start(t, inner, asyncmetric.WithMeterProvider(clinging{
				newMeters(), func() error { return g.pass(context.Background()) },
			}))
			export(t, e, 1)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if cancelled {
				cancel()
			}
			begin := time.Now()
			err := e.Shutdown(ctx)
			assert.LessOrEqual(t, time.Since(begin), time.Second)
			assert.ErrorContains(t, err, "still being collected")
			assert.Equal(t, 1, inner.Count("Shutdown"))
			close(g.open)
			synctest.Wait()
		})
	}
}

// own collects the metrics of an exporter about itself for the reader that
// hands them to the same exporter.
type own struct{ *metric.ManualReader }

func (o own) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	var rm metricdata.ResourceMetrics
	err := o.Collect(ctx, &rm)
	return rm.ScopeMetrics, err
}

func TestTelemetryThroughItsOwnExporterDoesNotGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
			switch calls++; {
			case calls == 50:
				return errPermanent
			case calls > 100 && calls < 200:
				return errTransient // 99 times, which takes 395 s
			default:
				return nil
			}
		}}
		m := newMeters()
		e, _ := start(t, inner, fixed, m.option(), asyncmetric.WithMaxQueueSize(100))
		reader := metric.NewPeriodicReader(e, metric.WithInterval(time.Second), metric.WithProducer(own{m.reader}))
		provider := metric.NewMeterProvider(metric.WithReader(reader))
		for range 1000 {
			elapse(time.Second)
			s := e.Stats()
			require.LessOrEqual(t, s.Queued-s.InFlight, 100)
		}
		assert.Positive(t, e.Stats().Coalesced, "the queue was full meanwhile")
		require.NoError(t, provider.Shutdown(t.Context()))

		// What is observed, the counts of points exported and failed, two
		// durations, the latency, drops and retries.
		n := sizes(inner.Delivered())
		observed := 8
		if e.Status().CountsBytes {
			observed++
		}
		assert.Equal(t, observed, n[0])
		assert.Equal(t, observed+2+2+1+1+1, n[len(n)-1])
		assert.Equal(t, n[len(n)-1], slices.Max(n[len(n)-500:]))
		assertSettled(t, e.Stats())
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// The MeterProvider of the application needs the exporter, which needs the
// MeterProvider. The global one is there before.
func TestTelemetryThroughTheGlobalProvider(t *testing.T) {
	const inChild = "ASYNCMETRIC_TEST_GLOBAL_PROVIDER"
	if os.Getenv(inChild) == "" { // since it can be set with effect only once
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), inChild+"=1")
		output, err := child.CombinedOutput()
		require.NoError(t, err, "%s", output)
		return
	}
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithMeterProvider(otel.GetMeterProvider()))
		provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(e)))
		otel.SetMeterProvider(provider)
		elapse(1000 * time.Minute)
		n := sizes(inner.Delivered())
		require.Len(t, n, 1000)
		observed := 7
		if e.Status().CountsBytes {
			observed++
		}
		assert.Equal(t, observed, n[0], "what is observed")
		assert.Equal(t, slices.Repeat([]int{observed + 3}, 999), n[1:], "and the count, duration and latency of what was exported")
		require.NoError(t, provider.Shutdown(t.Context()))
		assertSettled(t, e.Stats())
	})
}
