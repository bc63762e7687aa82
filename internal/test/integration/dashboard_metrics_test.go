package integration

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/otlptranslator"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// ownMetrics returns the metrics of an exporter about itself, with every kind
// of point that there is: it has repeated a batch, delivered it, dropped what
// came for too long, and has a collection in its queue.
func ownMetrics(t *testing.T) []metricdata.Metrics {
	t.Helper()
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	arrived, open := make(chan struct{}), make(chan struct{})
	calls := 0
	inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
		switch calls++; calls {
		case 1:
			return context.DeadlineExceeded
		case 2:
			return nil
		case 3:
			panic("refused")
		default:
			arrived <- struct{}{}
			<-open
			return nil
		}
	}}
	memory, err := queue.NewMemory(queue.Bound{Points: points}, queue.Coalesce)
	require.NoError(t, err)
	var reports record
	e, err := asyncmetric.New(inner, append(reports.options(), asyncmetric.WithMeterProvider(provider),
		asyncmetric.WithQueue(weighed{memory}), asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Millisecond}))...)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(points, 1)))
		_ = e.ForceFlush(t.Context())
	}
	require.NoError(t, e.Export(t.Context(), metrictest.Numbers(points, 1)))
	<-arrived
	for range 2 { // the second is coalesced with the first
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(points, 1)))
	}

	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &rm))
	go func() {
		for range arrived {
		}
	}()
	close(open)
	require.NoError(t, e.Shutdown(t.Context()))
	close(arrived)
	require.Len(t, rm.ScopeMetrics, 1)
	return rm.ScopeMetrics[0].Metrics
}

// weighed is a queue with all that a queue can have metrics of.
type weighed struct{ queue.Queue }

func (w weighed) Info() queue.Info {
	info := w.Queue.Info()
	info.CountsBytes = true
	return info
}

// A catalog has the labels of each series that Prometheus stores, by its name.
type catalog map[string]map[string]bool

// catalogOf translates metrics as the OTLP endpoint of Prometheus does by
// default. The second result has the name of each metric without the suffixes
// of a histogram.
func catalogOf(t *testing.T, metrics []metricdata.Metrics) (series catalog, names []string) {
	t.Helper()
	namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	series = make(catalog)
	for _, m := range metrics {
		kind, suffixes, sets := shapeOf(t, m.Data)
		name, err := namer.Build(otlptranslator.Metric{Name: m.Name, Unit: m.Unit, Type: kind})
		require.NoError(t, err)
		names = append(names, name)
		for _, suffix := range suffixes {
			labels := labelsOf(t, sets)
			labels["le"] = suffix == "_bucket"
			series[name+suffix] = labels
		}
	}
	return series, names
}

// shapeOf returns of which type Prometheus takes data to be, the suffixes of
// the series that it makes of it, and the attributes of the points.
func shapeOf(t *testing.T, data metricdata.Aggregation) (kind otlptranslator.MetricType, suffixes []string, sets []attribute.Set) {
	t.Helper()
	switch data := data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
		if data.IsMonotonic {
			return otlptranslator.MetricTypeMonotonicCounter, []string{""}, sets
		}
		return otlptranslator.MetricTypeNonMonotonicCounter, []string{""}, sets
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
		return otlptranslator.MetricTypeGauge, []string{""}, sets
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
		return otlptranslator.MetricTypeHistogram, []string{"_bucket", "_count", "_sum"}, sets
	default:
		require.Failf(t, "unexpected data", "%T", data)
		return 0, nil, nil
	}
}

// labelsOf returns the labels of attributes, and those that Prometheus makes of
// the resource.
func labelsOf(t *testing.T, sets []attribute.Set) map[string]bool {
	t.Helper()
	var namer otlptranslator.LabelNamer
	labels := map[string]bool{"job": true, "instance": true}
	for _, set := range sets {
		for _, kv := range set.ToSlice() {
			label, err := namer.Build(string(kv.Key))
			require.NoError(t, err)
			labels[label] = true
		}
	}
	return labels
}
