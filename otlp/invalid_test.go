package otlp_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/otlp"
)

const latin1 = "caf\xe9"

// twoOfEach returns a collection with two points of each kind of aggregation, the
// second of which have the attributes.
func twoOfEach(attributes attribute.Set) (*metricdata.ResourceMetrics, []int) {
	var second []int
	points := 0
	var metrics []metricdata.Metrics
	add := func(data metricdata.Aggregation) {
		second = append(second, points+1)
		points += 2
		metrics = append(metrics, metricdata.Metrics{Name: "m", Data: data})
	}
	add(metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{}, {Attributes: attributes}}})
	add(metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{{}, {Attributes: attributes}}})
	add(metricdata.Sum[int64]{DataPoints: []metricdata.DataPoint[int64]{{}, {Attributes: attributes}}})
	add(metricdata.Sum[float64]{DataPoints: []metricdata.DataPoint[float64]{{}, {Attributes: attributes}}})
	add(metricdata.Histogram[int64]{DataPoints: []metricdata.HistogramDataPoint[int64]{{}, {Attributes: attributes}}})
	add(metricdata.Histogram[float64]{DataPoints: []metricdata.HistogramDataPoint[float64]{{}, {Attributes: attributes}}})
	add(metricdata.ExponentialHistogram[int64]{
		DataPoints: []metricdata.ExponentialHistogramDataPoint[int64]{{}, {Attributes: attributes}}})
	add(metricdata.ExponentialHistogram[float64]{
		DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{{}, {Attributes: attributes}}})
	add(metricdata.Summary{DataPoints: []metricdata.SummaryDataPoint{{}, {Attributes: attributes}}})
	return &metricdata.ResourceMetrics{
		Resource:     resource.Empty(),
		ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: metrics[:4]}, {Metrics: metrics[4:]}},
	}, second
}

func TestInvalidAttributesAreFoundInPointsOfEveryKind(t *testing.T) {
	for name, kv := range map[string]attribute.KeyValue{
		"value":   attribute.String("k", latin1),
		"key":     attribute.Int(latin1, 1),
		"element": attribute.StringSlice("k", []string{"ok", latin1}),
		"nested":  attribute.Slice("k", attribute.MapValue(attribute.Map("m", attribute.String("k", latin1)))),
	} {
		rm, want := twoOfEach(attribute.NewSet(kv))
		assert.Equal(t, want, otlp.InvalidUTF8(rm), name)
	}
}

func TestWhatPointsHaveInCommonMayBeInvalid(t *testing.T) {
	all := func(from, to int) (list []int) {
		for i := from; i < to; i++ {
			list = append(list, i)
		}
		return list
	}
	for name, c := range map[string]struct {
		spoil func(*metricdata.ResourceMetrics)
		want  []int
	}{
		"nothing": {func(*metricdata.ResourceMetrics) {}, nil},
		"resource": {func(rm *metricdata.ResourceMetrics) {
			rm.Resource = resource.NewSchemaless(attribute.String("k", latin1))
		}, all(0, 18)},
		"schema of the resource": {func(rm *metricdata.ResourceMetrics) {
			rm.Resource = resource.NewWithAttributes(latin1, attribute.String("k", "v"))
		}, all(0, 18)},
		"scope": {func(rm *metricdata.ResourceMetrics) { rm.ScopeMetrics[1].Scope.Name = latin1 }, all(8, 18)},
		"attributes of the scope": {func(rm *metricdata.ResourceMetrics) {
			rm.ScopeMetrics[0].Scope = instrumentation.Scope{Attributes: attribute.NewSet(attribute.String("k", latin1))}
		}, all(0, 8)},
		"schema of the scope": {func(rm *metricdata.ResourceMetrics) { rm.ScopeMetrics[1].Scope.SchemaURL = latin1 }, all(8, 18)},
		"name":                {func(rm *metricdata.ResourceMetrics) { rm.ScopeMetrics[0].Metrics[1].Name = latin1 }, all(2, 4)},
		"description":         {func(rm *metricdata.ResourceMetrics) { rm.ScopeMetrics[0].Metrics[1].Description = latin1 }, all(2, 4)},
		"unit":                {func(rm *metricdata.ResourceMetrics) { rm.ScopeMetrics[1].Metrics[4].Unit = latin1 }, all(16, 18)},
		"exemplar": {func(rm *metricdata.ResourceMetrics) {
			rm.ScopeMetrics[0].Metrics[2].Data.(metricdata.Sum[int64]).DataPoints[1].Exemplars = []metricdata.Exemplar[int64]{
				{FilteredAttributes: []attribute.KeyValue{attribute.String("k", latin1)}}}
		}, []int{5}},
	} {
		rm, _ := twoOfEach(attribute.NewSet())
		c.spoil(rm)
		assert.Equal(t, c.want, otlp.InvalidUTF8(rm), name)
	}
	assert.Empty(t, otlp.InvalidUTF8(metrictest.EveryKind(3)))
}
