package otlp

import (
	"testing"

	"github.com/stretchr/testify/assert"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A later release of OTLP with a field that this package does not know fails
// this test, too: somebody has to decide what becomes of it.
func TestSchemasAreThoseOfOTLP(t *testing.T) {
	for _, c := range []struct {
		message proto.Message
		schema  *schema
	}{
		{&metricspb.ResourceMetrics{}, &resourceMetricsSchema},
		{&resourcepb.Resource{}, &resourceSchema},
		{&metricspb.ScopeMetrics{}, &scopeMetricsSchema},
		{&commonpb.InstrumentationScope{}, &scopeSchema},
		{&metricspb.Metric{}, &metricSchema},
		{&metricspb.Gauge{}, &pointsSchema},
		{&metricspb.Summary{}, &pointsSchema},
		{&metricspb.Sum{}, &sumSchema},
		{&metricspb.Histogram{}, &histogramSchema},
		{&metricspb.ExponentialHistogram{}, &histogramSchema},
		{&metricspb.NumberDataPoint{}, &numberSchema},
		{&metricspb.HistogramDataPoint{}, &histogramPointSchema},
		{&metricspb.ExponentialHistogramDataPoint{}, &exponentialPointSchema},
		{&metricspb.ExponentialHistogramDataPoint_Buckets{}, &bucketsSchema},
		{&metricspb.SummaryDataPoint{}, &summaryPointSchema},
		{&metricspb.SummaryDataPoint_ValueAtQuantile{}, &quantileSchema},
		{&metricspb.Exemplar{}, &exemplarSchema},
		{&commonpb.KeyValue{}, &keyValueSchema},
		{&commonpb.AnyValue{}, &anySchema},
		{&commonpb.ArrayValue{}, &listSchema},
		{&commonpb.KeyValueList{}, &listSchema},
	} {
		descriptor := c.message.ProtoReflect().Descriptor()
		var got schema
		for i := range descriptor.Fields().Len() {
			f := descriptor.Fields().Get(i)
			got[f.Number()] = spec{string(f.Name()), wireOf(f)}
		}
		assert.Equal(t, got, *c.schema, "%s", descriptor.FullName())
	}
}

func TestEnumsAreThoseOfOTLP(t *testing.T) {
	assert.EqualValues(t, metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_UNSPECIFIED, temporalityUnspecified)
	assert.EqualValues(t, metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA, temporalityDelta)
	assert.EqualValues(t, metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE, temporalityCumulative)
	assert.EqualValues(t, metricspb.DataPointFlags_DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK, flagNoRecordedValue)
}

func wireOf(f protoreflect.FieldDescriptor) wire {
	switch f.Kind() {
	case protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.Int32Kind, protoreflect.Sint32Kind,
		protoreflect.Uint32Kind, protoreflect.Int64Kind, protoreflect.Uint64Kind:
		if f.IsPacked() {
			return packedVarint
		}
		return varint
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		if f.IsPacked() {
			return packedFixed64
		}
		return fixed64
	case protoreflect.StringKind:
		return text
	case protoreflect.BytesKind:
		return blob
	case protoreflect.MessageKind:
		return message
	default:
		return unknown
	}
}
