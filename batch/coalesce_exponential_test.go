package batch_test

import (
	"context"
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
)

func exponential[N int64 | float64](temporality metricdata.Temporality, points ...metricdata.ExponentialHistogramDataPoint[N]) metricdata.Aggregation {
	return metricdata.ExponentialHistogram[N]{Temporality: temporality, DataPoints: points}
}

// scaled returns a point of an exponential histogram with positive buckets.
func scaled[N int64 | float64](from, to int, scale, offset int32, counts ...uint64) metricdata.ExponentialHistogramDataPoint[N] {
	point := metricdata.ExponentialHistogramDataPoint[N]{
		Attributes: series[0], StartTime: minute(from), Time: minute(to),
		Scale: scale, PositiveBucket: metricdata.ExponentialBucket{Offset: offset, Counts: counts},
	}
	for _, c := range counts {
		point.Count += c
	}
	return point
}

// requireScaled requires that two points become one of the given buckets.
func requireScaled(t *testing.T, older, newer, want metricdata.ExponentialHistogramDataPoint[int64]) {
	t.Helper()
	older.StartTime, older.Time, newer.StartTime, newer.Time = minute(0), minute(1), minute(1), minute(2)
	want.StartTime, want.Time = minute(0), minute(2)
	requireJoined(t, exponential(delta, older), exponential(delta, newer), exponential(delta, want))
	older, newer = newer, older
	older.StartTime, older.Time, newer.StartTime, newer.Time = minute(0), minute(1), minute(1), minute(2)
	requireJoined(t, exponential(delta, older), exponential(delta, newer), exponential(delta, want))
}

// at returns buckets without a time, for requireScaled.
func at(scale, offset int32, counts ...uint64) metricdata.ExponentialHistogramDataPoint[int64] {
	return scaled[int64](0, 0, scale, offset, counts...)
}

func TestCoalesceAddsDeltaExponentialHistograms(t *testing.T) {
	bothNumbers(t, testAddsDeltaExponentialHistograms[integer], testAddsDeltaExponentialHistograms[float64])
}

func testAddsDeltaExponentialHistograms[N int64 | float64](t *testing.T) {
	older := metricdata.ExponentialHistogramDataPoint[N]{
		Attributes: series[0], StartTime: minute(0), Time: minute(1), Count: 12, Sum: 10,
		Min: metricdata.NewExtrema[N](-9), Max: metricdata.NewExtrema[N](8), Scale: 1, ZeroCount: 2, ZeroThreshold: 0.25,
		PositiveBucket: metricdata.ExponentialBucket{Offset: -3, Counts: []uint64{1, 0, 2, 3}},
		NegativeBucket: metricdata.ExponentialBucket{Offset: 6, Counts: []uint64{4}},
	}
	newer := metricdata.ExponentialHistogramDataPoint[N]{
		Attributes: series[0], StartTime: minute(1), Time: minute(2), Count: 21, Sum: -4,
		Min: metricdata.NewExtrema[N](-5), Max: metricdata.NewExtrema[N](9), Scale: 0, ZeroCount: 1, ZeroThreshold: 0.25,
		PositiveBucket: metricdata.ExponentialBucket{Offset: 0, Counts: []uint64{5, 0, 6}},
		NegativeBucket: metricdata.ExponentialBucket{Offset: 1, Counts: []uint64{2, 7}},
	}
	want := newer
	want.StartTime, want.Count, want.Sum, want.ZeroCount = minute(0), 33, 6, 3
	want.Min = metricdata.NewExtrema[N](-9)
	// The positive buckets -3, -2, -1, 0 of the older one become -2, -1, -1, 0,
	// the negative bucket 6 becomes 3.
	want.PositiveBucket = metricdata.ExponentialBucket{Offset: -2, Counts: []uint64{1, 2, 8, 0, 6}}
	want.NegativeBucket = metricdata.ExponentialBucket{Offset: 1, Counts: []uint64{2, 7, 4}}
	requireJoined(t, exponential(delta, older), exponential(delta, newer), exponential(delta, want))
}

func TestCoalesceTakesTheNewerCumulativeExponentialHistogram(t *testing.T) {
	newer := scaled[int64](0, 2, 1, 5, 0, 3, 0)
	newer.NegativeBucket.Counts = []uint64{0}
	older := scaled[int64](0, 1, 3, 24, 1, 0, 0, 1, 1) // the buckets 24 to 27 become 6, 28 becomes 7
	requireExponentialsKept(t, cumulative, older, newer)
	older.PositiveBucket.Counts[4], older.Count = 0, 2
	requireJoined(t, exponential(cumulative, older), exponential(cumulative, newer), exponential(cumulative, newer))
}

func TestCoalesceKeepsBothPointsWhenTheZeroThresholdChanges(t *testing.T) {
	older, newer := scaled[int64](0, 1, 0, 0, 1), scaled[int64](1, 2, 0, 0, 1)
	newer.ZeroThreshold = 0.5
	requireExponentialsKept(t, delta, older, newer)
	newer.StartTime = older.StartTime
	requireExponentialsKept(t, cumulative, older, newer)
}

func TestCoalesceKeepsBothExponentialHistogramsRatherThanOverflow(t *testing.T) {
	older, newer := scaled[int64](0, 1, 0, 0, math.MaxUint64), scaled[int64](1, 2, 0, 0, 1)
	requireExponentialsKept(t, delta, older, newer)
	older.Count, newer.Count = 1, 1 // invalid, but no reason to lose a count
	requireExponentialsKept(t, delta, older, newer)
	for i := range 4 {
		older, newer := scaled[int64](0, 1, 0, 0, 1), scaled[int64](1, 2, 0, 0, 1)
		switch i {
		case 0:
			older.Sum, newer.Sum = math.MaxInt64, 1
		case 1:
			older.ZeroCount, newer.ZeroCount = math.MaxUint64, 1
		case 2:
			older.NegativeBucket.Counts, newer.NegativeBucket.Counts = []uint64{1}, []uint64{math.MaxUint64}
		case 3:
			older.Count, newer.Count = math.MaxUint64, 1
		}
		requireExponentialsKept(t, delta, older, newer)
	}
}

func TestCoalesceIgnoresEmptyBuckets(t *testing.T) {
	requireScaled(t, at(3, 7), at(3, -7), at(3, 0))
	requireScaled(t, at(3, 7, 0, 0), at(3, -7, 0), at(3, 0))
	requireScaled(t, at(3, 7, 0, 1, 0, 2, 0), at(3, math.MaxInt32, 0, 0), at(3, 8, 1, 0, 2))
	requireScaled(t, at(0, 7, 1), at(5, 0), at(0, 7, 1))
}

func TestCoalesceLowersTheScaleOnlyAsFarAsItMust(t *testing.T) {
	many := make([]uint64, 160)
	many[0], many[159] = 1, 2
	requireScaled(t, at(4, 10, 1), at(4, 169, 2), at(4, 10, many...)) // 160 buckets
	half := make([]uint64, 81)
	half[0], half[80] = 1, 2
	requireScaled(t, at(4, 10, 1), at(4, 170, 2), at(3, 5, half...)) // 161 would be too many
	requireScaled(t, at(4, -1, 1), at(4, 160, 2), func() metricdata.ExponentialHistogramDataPoint[int64] {
		counts := make([]uint64, 82)
		counts[0], counts[81] = 1, 2
		return at(3, -1, counts...)
	}())

	// One sign that has too many buckets lowers the scale of both.
	older, newer, want := at(4, 10, 1), at(4, 170, 2), at(3, 5, half...)
	older.NegativeBucket = metricdata.ExponentialBucket{Offset: 9, Counts: []uint64{1}}
	want.NegativeBucket = metricdata.ExponentialBucket{Offset: 4, Counts: []uint64{1}}
	requireScaled(t, older, newer, want)
	for _, p := range []*metricdata.ExponentialHistogramDataPoint[int64]{&older, &newer, &want} {
		p.PositiveBucket, p.NegativeBucket = p.NegativeBucket, p.PositiveBucket
	}
	requireScaled(t, older, newer, want)
}

func TestCoalesceKeepsAsManyBucketsAsThereWere(t *testing.T) {
	large := make([]uint64, 500)
	for i := range large {
		large[i] = uint64(i + 1)
	}
	sum := append([]uint64(nil), large...)
	sum[7] += 3
	requireScaled(t, at(9, 100, large...), at(9, 107, 3), at(9, 100, sum...))
}

func TestCoalesceJoinsTheEndsOfTheScale(t *testing.T) {
	// Whatever was in bucket -1 and below goes to -1, the rest to 0.
	requireScaled(t, at(math.MaxInt32, -5, 1, 2), at(math.MinInt32, -1, 4, 8), at(math.MinInt32, -1, 7, 8))
	low, high := at(20, math.MinInt32, 1), at(20, math.MaxInt32, 2)
	counts := make([]uint64, 128)
	counts[0], counts[127] = 1, 2
	requireScaled(t, low, high, at(-5, -64, counts...))

	bottom := scaled[int64](0, 1, math.MinInt32, math.MinInt32, 1)
	top := scaled[int64](1, 2, math.MinInt32, math.MaxInt32, 1)
	requireExponentialsKept(t, delta, bottom, top) // there is no lower scale
	beyond := scaled[int64](0, 1, 0, math.MaxInt32, 0, 1)
	requireExponentialsKept(t, delta, beyond, scaled[int64](1, 2, 0, math.MaxInt32, 0, 2)) // no such offset
}

// recorder returns functions that record a value and collect what it became.
func recorder(t *rapid.T) (record func(float64), collect func() *metricdata.ResourceMetrics) {
	reader := metric.NewManualReader(
		metric.WithTemporalitySelector(func(metric.InstrumentKind) metricdata.Temporality { return delta }),
		metric.WithAggregationSelector(func(metric.InstrumentKind) metric.Aggregation {
			return metric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
		}))
	instrument, err := metric.NewMeterProvider(metric.WithReader(reader)).Meter("m").Float64Histogram("h")
	require.NoError(t, err)
	return func(v float64) { instrument.Record(context.Background(), v) }, func() *metricdata.ResourceMetrics {
		rm := new(metricdata.ResourceMetrics)
		require.NoError(t, reader.Collect(context.Background(), rm))
		return rm
	}
}

// values draws measurements that are not at the edge of a bucket, where the
// SDK's own rounding decides.
var values = rapid.Custom(func(t *rapid.T) float64 {
	if rapid.IntRange(0, 9).Draw(t, "zero") == 9 {
		return 0
	}
	magnitude := math.Ldexp(0.5003+float64(rapid.IntRange(0, 498).Draw(t, "fraction"))/1000,
		rapid.OneOf(rapid.Just(3), rapid.IntRange(-2, 5), rapid.IntRange(-60, 60)).Draw(t, "exponent"))
	return magnitude * float64(rapid.SampledFrom([]int{1, 1, 1, -1}).Draw(t, "sign"))
})

func TestCoalescedExponentialHistogramIsAsIfRecordedAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		record, collect := recorder(t)
		recordAll, collectAll := recorder(t)
		var together *metricdata.ResourceMetrics
		magnitude := 0.0
		for range rapid.IntRange(2, 4).Draw(t, "parts") {
			for _, v := range rapid.SliceOfN(values, 0, 30).Draw(t, "values") {
				record(v)
				recordAll(v)
				magnitude += math.Abs(v)
			}
			if part := collect(); together == nil {
				together = part
			} else {
				together = batch.Coalesce(nil, together, part)
			}
		}
		want, got := totalsOf(collectAll()), totalsOf(together)
		for _, w := range want { // whose measurements may nearly have cancelled out
			w.rounding = exactly(reflect.ValueOf(magnitude * 1e-13))
		}
		want.requireEqual(t, got)
		for stream, w := range want {
			require.Equal(t, w.lowestScale(), got[stream].lowestScale(), "the SDK chose another scale")
			require.Len(t, got[stream].points, 1)
		}
	})
}
