package workload

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// SeriesPerInstrument is how many series an instrument has, but for the last.
const SeriesPerInstrument = 100

// Identity is a resource that Prometheus turns into the labels job and instance,
// with nothing left for its series target_info.
func Identity() *resource.Resource {
	return resource.NewSchemaless(
		attribute.String("service.name", "peerbench"), attribute.String("service.instance.id", "1"))
}

// A Shape is which instruments a [Workload] has.
type Shape int

const (
	// Mixed is a third each of counters, gauges and histograms with the bounds
	// that the SDK has by default.
	Mixed Shape = iota
	// Counters are counters only: one sample of Prometheus for each point.
	Counters
)

// A Workload is an application that measures once on each of its series before
// it is collected. It is used by one goroutine.
type Workload struct {
	reader   *sdkmetric.ManualReader
	provider *sdkmetric.MeterProvider
	measures []func(context.Context, int)
	round    int
	rm       metricdata.ResourceMetrics
}

// New returns a workload of that many series.
func New(points int, shape Shape, temporality sdkmetric.TemporalitySelector) (*Workload, error) {
	reader := sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(temporality))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(Identity()))
	w := &Workload{reader: reader, provider: provider}
	kinds := []func(metric.Meter, string, int) error{w.addCounter}
	if shape == Mixed {
		kinds = append(kinds, w.addGauge, w.addHistogram)
	}
	meter := provider.Meter("peerbench")
	for i, add := range kinds {
		share := points*(i+1)/len(kinds) - points*i/len(kinds)
		for n := 0; share > 0; n++ {
			size := min(share, SeriesPerInstrument)
			if err := add(meter, fmt.Sprintf("app.kind%d.metric%d", i, n), size); err != nil {
				return nil, fmt.Errorf("instrument %d of kind %d: %w", n, i, err)
			}
			share -= size
		}
	}
	return w, nil
}

// Collect measures and collects. The result is valid until the next call, which
// writes into it, as a PeriodicReader does.
func (w *Workload) Collect(ctx context.Context) (*metricdata.ResourceMetrics, error) {
	w.round++
	for _, measure := range w.measures {
		measure(ctx, w.round)
	}
	if err := w.reader.Collect(ctx, &w.rm); err != nil {
		return nil, fmt.Errorf("collect: %w", err)
	}
	return &w.rm, nil
}

// Shutdown ends the SDK.
func (w *Workload) Shutdown(ctx context.Context) error { return w.provider.Shutdown(ctx) }

func (w *Workload) addCounter(meter metric.Meter, name string, series int) error {
	counter, err := meter.Int64Counter(name)
	for i, set := range Series(series) {
		option := metric.WithAttributeSet(set)
		w.measures = append(w.measures, func(ctx context.Context, round int) {
			counter.Add(ctx, int64(1+i%7*round), option)
		})
	}
	return err
}

func (w *Workload) addGauge(meter metric.Meter, name string, series int) error {
	gauge, err := meter.Float64Gauge(name)
	for i, set := range Series(series) {
		option := metric.WithAttributeSet(set)
		w.measures = append(w.measures, func(ctx context.Context, round int) {
			gauge.Record(ctx, float64(i*round)/7, option)
		})
	}
	return err
}

func (w *Workload) addHistogram(meter metric.Meter, name string, series int) error {
	histogram, err := meter.Float64Histogram(name)
	for i, set := range Series(series) {
		option := metric.WithAttributeSet(set)
		w.measures = append(w.measures, func(ctx context.Context, round int) {
			histogram.Record(ctx, float64((i*37+round*61)%11000), option)
		})
	}
	return err
}

// Series returns the attributes of n different series, such as those of requests.
func Series(n int) []attribute.Set {
	sets := make([]attribute.Set, n)
	for i := range sets {
		sets[i] = attribute.NewSet(
			attribute.String("http.request.method", "GET"),
			attribute.String("http.route", fmt.Sprintf("/api/v1/resource%d", i)),
			attribute.Int("http.response.status_code", 200),
		)
	}
	return sets
}
