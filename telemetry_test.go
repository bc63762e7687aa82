package asyncmetric_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// meters is where the metrics of exporters about themselves go.
type meters struct {
	*metric.MeterProvider
	reader *metric.ManualReader
}

func newMeters(opts ...metric.Option) meters {
	reader := metric.NewManualReader()
	return meters{metric.NewMeterProvider(append(opts, metric.WithReader(reader))...), reader}
}

func (m meters) option() asyncmetric.Option { return asyncmetric.WithMeterProvider(m) }

// collect returns the metrics by name.
func (m meters) collect(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, m.reader.Collect(t.Context(), &rm))
	byName := make(map[string]metricdata.Metrics)
	for _, sm := range rm.ScopeMetrics {
		assert.Equal(t, "github.com/asyncmetric/asyncmetric", sm.Scope.Name)
		assert.Equal(t, semconv.SchemaURL, sm.Scope.SchemaURL)
		for _, metric := range sm.Metrics {
			byName[metric.Name] = metric
		}
	}
	return byName
}

// values are the points of one exporter: the name of the metric without its
// first part, and an attribute if there is one besides those of the component.
// Histograms have a count and a sum.
type values map[string]float64

// of returns the values of e, all of them.
func (m meters) of(t *testing.T, e *asyncmetric.Exporter) values {
	t.Helper()
	vs := make(values)
	for name, metric := range m.collect(t) {
		name = shorten(name)
		set := func(attributes attribute.Set, suffix string, v float64) {
			if extra, ok := ofComponent(t, e, attributes); ok {
				vs[name+extra+suffix] = v
			}
		}
		switch data := metric.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				set(p.Attributes, "", float64(p.Value))
			}
		case metricdata.Gauge[float64]:
			for _, p := range data.DataPoints {
				set(p.Attributes, "", p.Value)
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				set(p.Attributes, " count", float64(p.Count))
				set(p.Attributes, " sum", p.Sum)
			}
		default:
			t.Errorf("%s has %T", name, data)
		}
	}
	return vs
}

// shorten cuts off the first part of the name of a metric.
func shorten(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "otel.sdk.exporter."), "asyncmetric.")
}

// ofComponent reports whether a point is one of e, and returns the attributes
// that it has besides.
func ofComponent(t *testing.T, e *asyncmetric.Exporter, attributes attribute.Set) (extra string, ok bool) {
	t.Helper()
	for _, kv := range attributes.ToSlice() {
		switch kv.Key {
		case "otel.component.name":
			ok = kv.Value.AsString() == e.Status().Name
		case "otel.component.type":
			assert.Equal(t, "github.com/asyncmetric/asyncmetric.Exporter", kv.Value.AsString())
		default:
			extra += fmt.Sprintf(" %s=%s", kv.Key, kv.Value.AsString())
		}
	}
	return extra, ok
}

// idle is what is observed of an exporter that has nothing to do.
func idle() values {
	return values{
		"metric_data_point.inflight": 0,
		"queue.size":                 0,
		"queue.capacity":             262144,
		"queue.oldest_age":           0,
		"data_points.coalesced":      0,
		"data_points.refused":        0,
	}
}

// and returns v with the values of more, which win.
func (v values) and(more values) values {
	all := maps.Clone(v)
	maps.Copy(all, more)
	return all
}

// exerciseAll makes an exporter do something of everything: a collection is
// repeated, and one refused.
func exerciseAll(t *testing.T, m meters) (*asyncmetric.Exporter, *metrictest.Exporter) {
	t.Helper()
	e, inner, _ := exerciseWith(t, m)
	return e, inner
}

// exerciseWith does so with any MeterProvider, and returns what is reported.
func exerciseWith(t *testing.T, p apimetric.MeterProvider) (*asyncmetric.Exporter, *metrictest.Exporter, []error) {
	t.Helper()
	var at []time.Duration
	inner := &metrictest.Exporter{OnExport: failing(&at, errTransient, nil, errPermanent)}
	e, r := start(t, inner, fixed, asyncmetric.WithMeterProvider(p))
	export(t, e, 1, 2)
	elapse(time.Minute)
	return e, inner, r.errors()
}

func TestTelemetryHasNamesUnitsAndKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeters()
		e, inner := exerciseAll(t, m)
		component := []attribute.KeyValue{
			attribute.String("otel.component.name", e.Status().Name),
			attribute.String("otel.component.type", "github.com/asyncmetric/asyncmetric.Exporter"),
		}
		sum := func(monotonic bool, values map[attribute.KeyValue]int64) metricdata.Sum[int64] {
			data := metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: monotonic}
			for kv, value := range values {
				data.DataPoints = append(data.DataPoints, metricdata.DataPoint[int64]{
					Attributes: attribute.NewSet(append(component, kv)...), Value: value,
				})
			}
			return data
		}
		none := component[0]
		failed := attribute.String("error.type", "*errors.errorString")
		points, seconds := "{data_point}", "s"
		want := map[string]metricdata.Metrics{}
		add := func(name, unit string, data metricdata.Aggregation) {
			want[name] = metricdata.Metrics{Name: name, Unit: unit, Data: data}
		}
		type values = map[attribute.KeyValue]int64
		add("otel.sdk.exporter.metric_data_point.exported", points, sum(true, values{none: 1, failed: 1}))
		add("otel.sdk.exporter.metric_data_point.inflight", points, sum(false, values{none: 0}))
		add("asyncmetric.data_points.dropped", points, sum(true, values{attribute.String("reason", "permanent"): 1}))
		add("asyncmetric.data_points.coalesced", points, sum(true, values{none: 0}))
		add("asyncmetric.data_points.refused", points, sum(true, values{none: 0}))
		add("asyncmetric.export.retries", "{retry}", sum(true, values{none: 1}))
		add("asyncmetric.queue.size", points, sum(false, values{none: 0}))
		add("asyncmetric.queue.capacity", points, sum(false, values{none: 262144}))
		add("asyncmetric.queue.oldest_age", seconds, metricdata.Gauge[float64]{
			DataPoints: []metricdata.DataPoint[float64]{{Attributes: attribute.NewSet(component...)}},
		})

		got := m.collect(t)
		const bounds = "[0.001 0.005 0.01 0.05 0.1 0.5 1 5 10 30 60 300 900 3600 14400 86400]"
		for _, name := range []string{"otel.sdk.exporter.operation.duration", "asyncmetric.delivery.latency"} {
			data := got[name].Data.(metricdata.Histogram[float64])
			assert.Equal(t, bounds, fmt.Sprint(data.DataPoints[0].Bounds))
			assert.Equal(t, "s", got[name].Unit)
			assert.NotEmpty(t, got[name].Description)
			delete(got, name)
		}
		require.Len(t, got, len(want))
		for name, metric := range want {
			assert.NotEmpty(t, got[name].Description, name)
			metric.Description = got[name].Description
			metricdatatest.AssertEqual(t, metric, got[name], metricdatatest.IgnoreTimestamp())
		}
		shutdown(t, e, inner)
	})
}

func TestTelemetryTellsExportersApart(t *testing.T) {
	m := newMeters()
	inner := []*metrictest.Exporter{{}, {}}
	first, _ := start(t, inner[0], m.option())
	second, _ := start(t, inner[1], m.option())
	assert.NotEqual(t, first.Status().Name, second.Status().Name)
	assert.Regexp(t, `^github\.com/asyncmetric/asyncmetric\.Exporter/\d+$`, first.Status().Name)
	require.NoError(t, first.Export(t.Context(), metrictest.Numbers(3, 1)))
	require.NoError(t, second.Export(t.Context(), metrictest.Numbers(4, 1)))
	require.NoError(t, first.ForceFlush(t.Context()))
	require.NoError(t, second.ForceFlush(t.Context()))
	assert.Equal(t, 3.0, m.of(t, first)["metric_data_point.exported"])
	assert.Equal(t, 4.0, m.of(t, second)["metric_data_point.exported"])
	shutdown(t, first, inner[0])
	shutdown(t, second, inner[1])
}

func TestTelemetryIsOffByDefault(t *testing.T) {
	m, before := newMeters(), otel.GetMeterProvider()
	otel.SetMeterProvider(m)
	defer otel.SetMeterProvider(before)
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner)
	export(t, e, 1)
	shutdown(t, e, inner)
	assert.Empty(t, m.collect(t))
}
