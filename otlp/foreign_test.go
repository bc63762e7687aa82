package otlp_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/internal/otlptest"
)

// What other programs write, or the same program of tomorrow.

func TestUnknownFieldsAreSkipped(t *testing.T) {
	unknown := join(varint(100, 1), fixed32(101, 2), fixed64(102, 3), bytesField(103, []byte{0xff}),
		group(104, varint(1, 1), group(1)), varint(15, 1))
	value := double(4, 1.5)
	point := join(unknown, value, message(7, unknown, text(1, "k"), message(2, unknown, text(1, "v"), unknown)))
	got := decoded(t, join(unknown, message(1, unknown), message(2, unknown, message(1, unknown),
		message(2, unknown, text(1, "requests"), unknown, message(gaugeField, unknown, message(1, point, unknown))))))
	assert.Equal(t, metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{{
		Attributes: attribute.NewSet(attribute.String("k", "v")), Value: 1.5,
	}}}, dataOf(t, got))
	assert.Equal(t, "requests", got.ScopeMetrics[0].Metrics[0].Name)
}

// A kind of data that a later OTLP brings is a metric without data.
func TestUnknownDataIsNone(t *testing.T) {
	got := decoded(t, oneMetric(text(1, "requests"), message(13, message(1, fixed64(4, 1)))))
	assert.Equal(t, metricdata.Metrics{Name: "requests"}, got.ScopeMetrics[0].Metrics[0])
}

func TestWhatMetricdataDoesNotHaveIsLeftOut(t *testing.T) {
	message := &metricspb.ResourceMetrics{}
	require.NoError(t, proto.Unmarshal(encoded(t, metrictest.Numbers(1, 1)), message))
	want := otlptest.Meaning(metrictest.Numbers(1, 1))

	message.Resource.DroppedAttributesCount = 1
	message.ScopeMetrics[0].Scope.DroppedAttributesCount = 1
	message.ScopeMetrics[0].Metrics[0].Metadata = message.Resource.Attributes
	message.Resource.Attributes[0].KeyStrindex = 1
	message.ScopeMetrics[0].Metrics[0].GetSum().DataPoints[0].Flags = 1 << 1
	record, err := proto.Marshal(message)
	require.NoError(t, err)
	assert.Equal(t, want, otlptest.Meaning(decoded(t, record)))
}

func TestTheLastOfAOneofWins(t *testing.T) {
	data := func(fields ...[]byte) metricdata.Aggregation { return dataOf(t, decoded(t, oneMetric(fields...))) }
	assert.Equal(t, metricdata.Summary{}, data(message(sumField, varint(3, 1)), message(summaryField)))
	assert.Equal(t, metricdata.Sum[int64]{}, data(message(sumField, varint(3, 1)), message(gaugeField), message(sumField)))

	set := attribute.NewSet()
	assert.Equal(t, metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Attributes: set, Value: 2}}},
		dataOf(t, decoded(t, point(gaugeField, double(4, 1), fixed64(6, 2)))))
	assert.Equal(t, metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{{Attributes: set, Value: 1}}},
		dataOf(t, decoded(t, point(gaugeField, fixed64(6, 2), double(4, 1)))))

	key := func(fields ...[]byte) attribute.Value {
		v, ok := decoded(t, attributeOf(fields...)).Resource.Set().Value("key")
		require.True(t, ok)
		return v
	}
	assert.Equal(t, attribute.IntValue(1), key(text(1, "s"), message(5), varint(3, 1)))
	assert.Equal(t, attribute.SliceValue(), key(message(5, message(1, varint(3, 1))), varint(3, 1), message(5)))
	assert.Equal(t, attribute.Value{}, key(text(1, "s"), varint(8, 1)), "an index into the strings of a profile")
}

// Protobuf says that a message which is not repeated, but occurs twice, is all
// of it together.
func TestMessagesInPartsAreJoined(t *testing.T) {
	value := fixed64(6, 1)
	got := decoded(t, join(
		message(1, message(1, text(1, "a"))), message(1, message(1, text(1, "b"), message(2, varint(3, 1)))),
		message(2, message(1, text(1, "scope"), message(3, text(1, "a"))), message(1, text(2, "v1"), message(3, text(1, "b"))),
			message(2, message(sumField, varint(2, 1), message(1, value)), message(sumField, varint(3, 1), message(1, value))),
			message(2, message(exponentialField, message(1,
				message(8, varint(1, 2), varint(2, 1)), message(8, bytesField(2, []byte{2, 3}))))),
		)))
	assert.Equal(t, []attribute.KeyValue{{Key: "a"}, attribute.Int("b", 1)}, got.Resource.Attributes())
	scope := got.ScopeMetrics[0]
	assert.Equal(t, "scope", scope.Scope.Name)
	assert.Equal(t, "v1", scope.Scope.Version)
	assert.Equal(t, 2, scope.Scope.Attributes.Len())
	sum := scope.Metrics[0].Data.(metricdata.Sum[int64])
	assert.Len(t, sum.DataPoints, 2)
	assert.Equal(t, metricdata.DeltaTemporality, sum.Temporality)
	assert.True(t, sum.IsMonotonic)
	buckets := scope.Metrics[1].Data.(metricdata.ExponentialHistogram[float64]).DataPoints[0].PositiveBucket
	assert.Equal(t, metricdata.ExponentialBucket{Offset: 1, Counts: []uint64{1, 2, 3}}, buckets)
}

func TestNumbersMayBePackedOrNot(t *testing.T) {
	eights := func(values ...uint64) (b []byte) {
		for _, v := range values {
			b = protowire.AppendFixed64(b, v)
		}
		return b
	}
	got := dataOf(t, decoded(t, oneMetric(message(histogramField,
		message(1, bytesField(7, eights(1, 2)), bytesField(6, eights(3))),
		message(1, fixed64(7, 1), fixed64(7, 2), fixed64(6, 3)),
		message(1, bytesField(7, eights(1)), fixed64(7, 2), bytesField(6, nil), bytesField(6, eights(3))),
		message(1, bytesField(7, eights(1, 2)), bytesField(7, eights(2))),
		message(1, bytesField(7, eights(1, 2))),
	)))).(metricdata.Histogram[float64])
	for i, p := range got.DataPoints[:3] {
		assert.Equal(t, got.DataPoints[0].Bounds, p.Bounds, "%d", i)
		assert.Equal(t, []uint64{3}, p.BucketCounts, "%d", i)
	}
	assert.Len(t, got.DataPoints[3].Bounds, 3)
	assert.Equal(t, got.DataPoints[0].Bounds, got.DataPoints[4].Bounds)
}

func TestAFloatMakesTheMetricOneOfFloats(t *testing.T) {
	integer, float := message(1, fixed64(6, 1<<53)), message(1, double(4, 0.5))
	exemplar := message(1, fixed64(6, 3), message(5, double(3, 2.5)))
	for _, points := range [][]byte{join(integer, float, integer), join(float, integer), join(integer, exemplar)} {
		data, ok := dataOf(t, decoded(t, oneMetric(message(sumField, varint(2, 2), points)))).(metricdata.Sum[float64])
		require.True(t, ok)
		assert.Equal(t, metricdata.CumulativeTemporality, data.Temporality)
		assert.Equal(t, bytes.Count(points, []byte{1<<3 | 2, 9})+bytes.Count(points, exemplar), len(data.DataPoints))
	}
	got := dataOf(t, decoded(t, oneMetric(message(gaugeField, integer, exemplar)))).(metricdata.Gauge[float64])
	assert.Equal(t, float64(1<<53), got.DataPoints[0].Value)
	assert.Equal(t, 3.0, got.DataPoints[1].Value)
	assert.Equal(t, 2.5, got.DataPoints[1].Exemplars[0].Value)
}

func TestAHistogramWithoutASumHasOneOfZero(t *testing.T) {
	got := dataOf(t, decoded(t, point(histogramField, fixed64(4, 2)))).(metricdata.Histogram[float64])
	assert.Equal(t, metricdata.HistogramDataPoint[float64]{Attributes: attribute.NewSet(), Count: 2}, got.DataPoints[0])
}

func TestTheLastOfAttributesWithOneKeyWins(t *testing.T) {
	one, two := message(1, text(1, "k"), message(2, varint(3, 1))), message(1, text(1, "k"), message(2, varint(3, 2)))
	got := decoded(t, message(1, one, message(1, text(1, "a")), two))
	assert.Equal(t, []attribute.KeyValue{{Key: "a"}, attribute.Int("k", 2)}, got.Resource.Attributes())
}
