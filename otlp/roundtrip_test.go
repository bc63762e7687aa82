package otlp_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/internal/otlptest"
	"github.com/asyncmetric/asyncmetric/otlp"
)

func encoded(t require.TestingT, rm *metricdata.ResourceMetrics) []byte {
	record, err := otlp.Append(nil, rm)
	require.NoError(t, err)
	return record
}

func decoded(t require.TestingT, record []byte) *metricdata.ResourceMetrics {
	rm, err := otlp.Decode(record)
	require.NoError(t, err)
	return rm
}

func recoded(t require.TestingT, rm *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	return decoded(t, encoded(t, rm))
}

// one returns a collection of one metric.
func one(data metricdata.Aggregation) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{
		Resource:     resource.Empty(),
		ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{Name: "requests", Data: data}}}},
	}
}

// dataOf returns the data of the only metric of rm.
func dataOf(t require.TestingT, rm *metricdata.ResourceMetrics) metricdata.Aggregation {
	require.Len(t, rm.ScopeMetrics, 1)
	require.Len(t, rm.ScopeMetrics[0].Metrics, 1)
	return rm.ScopeMetrics[0].Metrics[0].Data
}

func TestEveryCollectionComesBack(t *testing.T) {
	rapid.Check(t, everyCollectionComesBack)
}

func everyCollectionComesBack(t *rapid.T) {
	rm := otlptest.Collection(t)
	before := otlptest.Meaning(rm)
	prefix := rapid.SliceOf(rapid.Byte()).Draw(t, "prefix")
	record, err := otlp.Append(prefix[:len(prefix):len(prefix)], rm)
	require.NoError(t, err)
	require.Equal(t, prefix, record[:len(prefix):len(prefix)])
	record = record[len(prefix):]

	back := decoded(t, record)
	require.Equal(t, before, otlptest.Meaning(back))
	require.Equal(t, before, otlptest.Meaning(rm), "the argument has changed")

	again := encoded(t, back)
	clear(record)
	require.Equal(t, before, otlptest.Meaning(back), "the result refers to the input")
	require.Equal(t, before, otlptest.Meaning(decoded(t, again)))
}

// Not only in its meaning: in all that reflect.DeepEqual sees.
func TestCollectionsOfTheSDKComeBackAsTheyWere(t *testing.T) {
	every := metrictest.EveryKind(5)
	for i := range every.ScopeMetrics {
		for j, m := range every.ScopeMetrics[i].Metrics {
			switch m.Data.(type) {
			case metricdata.Histogram[int64], metricdata.ExponentialHistogram[int64]:
				every.ScopeMetrics[i].Metrics[j].Data = nil // see TestHistogramsOfIntegersComeBackAsOnesOfFloats
			}
		}
	}
	for name, rm := range map[string]*metricdata.ResourceMetrics{
		"mixed":      metrictest.Mixed(3000),
		"numbers":    metrictest.Numbers(300, math.MinInt64),
		"every kind": every,
		"empty":      {Resource: resource.Empty()},
	} {
		t.Run(name, func(t *testing.T) {
			got := recoded(t, rm)
			require.Equal(t, otlptest.Meaning(rm), otlptest.Meaning(got))
			assert.True(t, reflect.DeepEqual(rm, got))
		})
	}
}

func TestHistogramsOfIntegersComeBackAsOnesOfFloats(t *testing.T) {
	attrs := attribute.NewSet(attribute.String("of", "integers"))
	got := recoded(t, one(metricdata.Histogram[int64]{
		Temporality: metricdata.DeltaTemporality,
		DataPoints: []metricdata.HistogramDataPoint[int64]{{
			Attributes: attrs, Count: 3, Bounds: []float64{1}, BucketCounts: []uint64{1, 2},
			Min: metricdata.NewExtrema[int64](-7), Max: metricdata.NewExtrema[int64](1<<53 + 1), Sum: 1<<53 + 1,
			Exemplars: []metricdata.Exemplar[int64]{{Value: 1<<53 + 1}},
		}},
	}))
	assert.Equal(t, metricdata.Histogram[float64]{
		Temporality: metricdata.DeltaTemporality,
		DataPoints: []metricdata.HistogramDataPoint[float64]{{
			Attributes: attrs, Count: 3, Bounds: []float64{1}, BucketCounts: []uint64{1, 2},
			Min: metricdata.NewExtrema[float64](-7), Max: metricdata.NewExtrema[float64](1 << 53), Sum: 1 << 53,
			Exemplars: []metricdata.Exemplar[float64]{{Value: 1 << 53}},
		}},
	}, dataOf(t, got))

	got = recoded(t, one(metricdata.ExponentialHistogram[int64]{
		Temporality: metricdata.CumulativeTemporality,
		DataPoints:  []metricdata.ExponentialHistogramDataPoint[int64]{{Attributes: attrs, Sum: -3, Scale: -10}},
	}))
	assert.Equal(t, metricdata.ExponentialHistogram[float64]{
		Temporality: metricdata.CumulativeTemporality,
		DataPoints:  []metricdata.ExponentialHistogramDataPoint[float64]{{Attributes: attrs, Sum: -3, Scale: -10}},
	}, dataOf(t, got))
}

func TestTimesComeBackInUTC(t *testing.T) {
	elsewhere := time.FixedZone("elsewhere", -3600)
	for _, c := range []struct {
		name    string
		in, out time.Time
	}{
		{"none", time.Time{}, time.Time{}},
		{"none elsewhere", time.Time{}.In(elsewhere), time.Time{}},
		{"elsewhere", time.Date(2024, 1, 2, 3, 4, 5, 6, elsewhere), time.Date(2024, 1, 2, 4, 4, 5, 6, time.UTC)},
		{"the first of OTLP", time.Unix(0, 1), time.Unix(0, 1).UTC()},
		{"the last of OTLP", time.Unix(18446744073, 709551615), time.Date(2554, 7, 21, 23, 34, 33, 709551615, time.UTC)},
		{"after the last of int64", time.Date(2400, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(2400, 1, 1, 0, 0, 0, 1, time.UTC)},
		{"1970, which OTLP takes for none", time.Unix(0, 0), time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := recoded(t, one(metricdata.Sum[int64]{DataPoints: []metricdata.DataPoint[int64]{{
				StartTime: c.in, Time: c.in, Exemplars: []metricdata.Exemplar[int64]{{Time: c.in}},
			}}}))
			p := dataOf(t, got).(metricdata.Sum[int64]).DataPoints[0]
			assert.Equal(t, c.out, p.StartTime)
			assert.Equal(t, c.out, p.Time)
			assert.Equal(t, c.out, p.Exemplars[0].Time)
		})
	}
	now := time.Now()
	got := recoded(t, one(metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Time: now}}}))
	assert.True(t, now.Equal(dataOf(t, got).(metricdata.Gauge[int64]).DataPoints[0].Time))
}

func TestEmptySlicesComeBackNil(t *testing.T) {
	empty := metricdata.HistogramDataPoint[float64]{
		Attributes: attribute.NewSet(), Bounds: []float64{}, BucketCounts: []uint64{},
		Exemplars: []metricdata.Exemplar[float64]{},
	}
	got := recoded(t, one(metricdata.Histogram[float64]{DataPoints: []metricdata.HistogramDataPoint[float64]{empty}}))
	assert.Equal(t, metricdata.Histogram[float64]{
		DataPoints: []metricdata.HistogramDataPoint[float64]{{Attributes: attribute.NewSet()}},
	}, dataOf(t, got))

	got = recoded(t, one(metricdata.Sum[float64]{
		DataPoints: []metricdata.DataPoint[float64]{}, Temporality: metricdata.DeltaTemporality, IsMonotonic: true,
	}))
	assert.Equal(t, metricdata.Sum[int64]{Temporality: metricdata.DeltaTemporality, IsMonotonic: true}, dataOf(t, got),
		"without points it is not known of which numbers it is")

	assert.Equal(t, &metricdata.ResourceMetrics{Resource: resource.Empty(), ScopeMetrics: []metricdata.ScopeMetrics{{}}},
		recoded(t, &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{}}}}))
}

func TestAMetricWithoutDataStays(t *testing.T) {
	assert.Nil(t, dataOf(t, recoded(t, one(nil))))
}

func TestPointsShareEqualBounds(t *testing.T) {
	data := metricdata.Histogram[float64]{}
	for _, bounds := range [][]float64{{1, 2}, {1, 2}, nil, {1}, {1}, {1, 2}} {
		data.DataPoints = append(data.DataPoints, metricdata.HistogramDataPoint[float64]{
			Attributes: attribute.NewSet(), Bounds: bounds, BucketCounts: make([]uint64, len(bounds)+1),
		})
	}
	got := dataOf(t, recoded(t, one(data))).(metricdata.Histogram[float64])
	assert.Equal(t, data, got)
	assert.Same(t, &got.DataPoints[0].Bounds[0], &got.DataPoints[1].Bounds[0])
	for i, p := range got.DataPoints {
		assert.Equal(t, len(p.Bounds), cap(p.Bounds))
		assert.Equal(t, len(p.BucketCounts), cap(p.BucketCounts))
		p.BucketCounts[0] = uint64(i) // is that of no other point
	}
	for i, p := range got.DataPoints {
		assert.EqualValues(t, i, p.BucketCounts[0])
	}
}

func TestResourceComesBackInAnyOrder(t *testing.T) {
	want := resource.NewWithAttributes("https://example.com/schema", attribute.String("a", "1"), attribute.Int("b", 2))
	got := recoded(t, &metricdata.ResourceMetrics{Resource: want})
	assert.Equal(t, want, got.Resource)
	assert.Equal(t, want.Equivalent(), got.Resource.Equivalent())

	assert.Equal(t, resource.Empty(), recoded(t, &metricdata.ResourceMetrics{}).Resource, "nil comes back empty")
}
