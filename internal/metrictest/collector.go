package metrictest

import (
	"context"
	"fmt"
	"testing"
	"time"

	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// Collector returns a function that has the SDK collect the points that Mixed
// has, with delta temporality, and returns how long that took. To record them
// again, which has to be done each time, is not part of it. What the SDK takes to
// collect is the measure for what is done with the result.
func Collector(t testing.TB, points int) (collect func() time.Duration) {
	t.Helper()
	reader := metric.NewManualReader(metric.WithTemporalitySelector(
		func(metric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }))
	meter := metric.NewMeterProvider(metric.WithReader(reader), metric.WithCardinalityLimit(0)).Meter("metrictest")
	record := recordMixed(t, meter, points)
	var rm metricdata.ResourceMetrics
	collect = func() time.Duration {
		record()
		begin := time.Now()
		if err := reader.Collect(context.Background(), &rm); err != nil {
			t.Fatal(err)
		}
		return time.Since(begin)
	}
	for range 3 {
		collect()
	}
	if got := batch.Points(&rm); got != points {
		t.Fatalf("%d points were collected", got)
	}
	return collect
}

// recordMixed returns what records a measurement for each point of
// Mixed.
func recordMixed(t testing.TB, meter apimetric.Meter, points int) (record func()) {
	t.Helper()
	var records []func()
	ctx := context.Background()
	each := func(name string, n int, create func(name string) (func(apimetric.MeasurementOption), error)) {
		for i := 0; n > 0; i++ {
			measure, err := create(fmt.Sprintf("%s.%d", name, i))
			if err != nil {
				t.Fatal(err)
			}
			for _, set := range Series(min(n, PointsPerMetric)) {
				option := apimetric.WithAttributeSet(set)
				records = append(records, func() { measure(option) })
			}
			n -= PointsPerMetric
		}
	}
	third := points / 3
	each("sum", third, func(name string) (func(apimetric.MeasurementOption), error) {
		counter, err := meter.Int64Counter(name)
		return func(o apimetric.MeasurementOption) { counter.Add(ctx, 1, o) }, err
	})
	each("gauge", third, func(name string) (func(apimetric.MeasurementOption), error) {
		gauge, err := meter.Float64Gauge(name)
		return func(o apimetric.MeasurementOption) { gauge.Record(ctx, 1, o) }, err
	})
	each("histogram", points-2*third, func(name string) (func(apimetric.MeasurementOption), error) {
		histogram, err := meter.Float64Histogram(name)
		return func(o apimetric.MeasurementOption) { histogram.Record(ctx, 12, o) }, err
	})
	return func() {
		for _, r := range records {
			r()
		}
	}
}
