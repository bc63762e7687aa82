package otlp_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/otlp"
)

// weird is an aggregation of a kind that the SDK does not have.
type weird struct{ metricdata.Gauge[int64] }

func TestWhatOTLPCannotExpressIsAnError(t *testing.T) {
	const metric = "scope_metrics[1].metrics[2]"
	early, late := time.Unix(0, -1), time.Unix(18446744073, 709551616)
	sum := func(p metricdata.DataPoint[int64]) metricdata.Aggregation {
		return metricdata.Sum[int64]{DataPoints: []metricdata.DataPoint[int64]{{}, p}}
	}
	deep := attribute.IntSliceValue([]int{1})
	for range otlp.MaxDepth {
		deep = attribute.MapValue(attribute.KeyValue{Key: "k", Value: deep})
	}
	for _, c := range []struct {
		name string
		data metricdata.Aggregation
		path string
		err  error
	}{
		{"kind", weird{}, metric, otlp.ErrAggregation},
		{"pointer", &metricdata.Sum[int64]{}, metric, otlp.ErrAggregation},
		{"temporality", metricdata.Histogram[int64]{Temporality: 3}, metric + ".histogram.aggregation_temporality", otlp.ErrTemporality},
		{"early start", sum(metricdata.DataPoint[int64]{StartTime: early}), metric + ".sum.data_points[1].start_time_unix_nano", otlp.ErrTime},
		{"late time", sum(metricdata.DataPoint[int64]{Time: late}), metric + ".sum.data_points[1].time_unix_nano", otlp.ErrTime},
		{"much too late", sum(metricdata.DataPoint[int64]{Time: time.Unix(math.MaxInt64/2, 0)}), metric + ".sum.data_points[1].time_unix_nano", otlp.ErrTime},
		{"exemplar", sum(metricdata.DataPoint[int64]{Exemplars: []metricdata.Exemplar[int64]{{}, {Time: early}}}),
			metric + ".sum.data_points[1].exemplars[1].time_unix_nano", otlp.ErrTime},
		{"key", sum(metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.Int("\xff", 1))}),
			metric + ".sum.data_points[1].attributes", otlp.ErrUTF8},
		{"depth", sum(metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.KeyValue{Key: "k", Value: deep})}),
			metric + ".sum.data_points[1].attributes", otlp.ErrDepth},
	} {
		t.Run(c.name, func(t *testing.T) {
			rm := metrictest.EveryKind(1)
			rm.ScopeMetrics[1].Metrics[2] = metricdata.Metrics{Name: "requests", Data: c.data}
			dst := append(make([]byte, 0, 1<<16), "what was there"...)
			got, err := otlp.Append(dst, rm)
			assert.Equal(t, "what was there", string(got))
			var failure *otlp.AppendError
			require.ErrorAs(t, err, &failure)
			assert.ErrorIs(t, err, c.err)
			assert.Equal(t, c.path, failure.Path)
			assert.Equal(t, "requests", failure.Metric)
			assert.ErrorContains(t, err, `"requests"`)
		})
	}
}

func TestAnUnknownKindIsNamed(t *testing.T) {
	_, err := otlp.Append(nil, one(weird{}))
	assert.EqualError(t, err, `otlp: cannot encode metric "requests": scope_metrics[0].metrics[0]: unknown aggregation: otlp_test.weird`)
}

func TestErrorsOutsideOfPoints(t *testing.T) {
	bad := attribute.Int("\xff", 1)
	for path, rm := range map[string]*metricdata.ResourceMetrics{
		"resource_metrics":                 nil,
		"resource.attributes":              {Resource: resource.NewSchemaless(bad)},
		"schema_url":                       {Resource: resource.NewWithAttributes("\xff")},
		"scope_metrics[0].scope.name":      {ScopeMetrics: []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{Name: "\xff"}}}},
		"scope_metrics[0].schema_url":      {ScopeMetrics: []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{SchemaURL: "\xff"}}}},
		"scope_metrics[0].metrics[0].unit": {ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{Unit: "\xff"}}}}},
	} {
		_, err := otlp.Append(nil, rm)
		var failure *otlp.AppendError
		require.ErrorAs(t, err, &failure, path)
		assert.Equal(t, path, failure.Path)
		assert.ErrorContains(t, err, path)
	}
}

// The length of a message stands in front of it, in one to four bytes.
func TestMessagesOfEveryLength(t *testing.T) {
	for _, size := range []int{0, 1, 60, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 1 << 14, 1 << 20, 1<<21 - 20, 1 << 21, 1<<21 + 20, 1 << 22} {
		long := string(make([]byte, size))
		rm := one(metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{
			Attributes: attribute.NewSet(attribute.String("a", long), attribute.StringSlice("b", []string{long, long}), attribute.String("c", "d")),
		}}})
		require.True(t, reflect.DeepEqual(rm, recoded(t, rm)), "%d bytes", size)
	}
	for _, points := range []int{3, 30, 300, 3000, 30_000} {
		rm := metrictest.Mixed(points)
		require.True(t, reflect.DeepEqual(rm, recoded(t, rm)), "%d points", points)
	}
}
