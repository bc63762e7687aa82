package batch_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// pointsLeft returns how many points two of one point each become.
func pointsLeft(older, newer metricdata.Aggregation) int {
	return batch.Points(batch.Coalesce(nil, collectionWith(older), collectionWith(newer)))
}

func TestCoalesceKeepsBothSumsWhenAMonotonicOneFalls(t *testing.T) {
	requireSumsKept(t, cumulative, number[int64](0, 1, 7), number[int64](0, 2, 6))
	requireSumsKept(t, cumulative, number(0, 1, 7.5), number(0, 2, 7.25))
	same := sum(cumulative, number[int64](0, 2, 7))
	requireJoined(t, sum(cumulative, number[int64](0, 1, 7)), same, same)
}

func TestCoalesceTakesTheNewerSumThatMayFall(t *testing.T) {
	upDown := func(p metricdata.DataPoint[int64]) metricdata.Aggregation {
		return metricdata.Sum[int64]{Temporality: cumulative, DataPoints: []metricdata.DataPoint[int64]{p}}
	}
	requireJoined(t, upDown(number[int64](0, 1, 7)), upDown(number[int64](0, 2, -3)), upDown(number[int64](0, 2, -3)))
	require.Equal(t, 2, pointsLeft(upDown(number[int64](0, 1, 7)), upDown(number[int64](1, 2, 8))), "a reset")
}

// A NaN never ends: a counter that is NaN must not fill the memory.
func TestCoalesceTakesTheNewerSumAfterNaNOnly(t *testing.T) {
	nan := math.NaN()
	left := func(older, newer float64) int {
		return pointsLeft(sum(cumulative, number(0, 1, older)), sum(cumulative, number(0, 2, newer)))
	}
	require.Equal(t, 1, left(nan, nan))
	require.Equal(t, 1, left(nan, 3))
	require.Equal(t, 2, left(3, nan))
}

func TestCoalesceKeepsBothHistogramsWhenOneOfTheirNumbersFalls(t *testing.T) {
	requireHistogramsKept(t, cumulative, buckets[int64](0, 1, 9, 2, 2, 2), buckets[int64](0, 2, 9, 1, 2, 2))
	requireHistogramsKept(t, cumulative, buckets(0, 1, 9.0, 2, 2, 2), buckets(0, 2, 9.0, 1, 9, 9))
	requireHistogramsKept(t, cumulative, buckets(0, 1, 9.0, 2, 2, 2), buckets(0, 2, 9.0, 9, 9, 1))
	older, newer := buckets(0, 1, 9.0), buckets(0, 2, 9.0)
	older.Bounds, newer.Bounds, older.Count, newer.Count = nil, nil, 5, 4
	requireHistogramsKept(t, cumulative, older, newer)
}

func TestCoalesceKeepsBothCumulativeHistogramsWhenTheBoundsChange(t *testing.T) {
	older, newer := buckets(0, 1, 9.0, 1, 1, 1), buckets(0, 2, 9.0, 9, 9, 9)
	newer.Bounds = []float64{10, 21}
	requireHistogramsKept(t, cumulative, older, newer)
	requireHistogramsKept(t, cumulative, older, buckets(0, 2, 9.0, 9, 9))
	requireHistogramsKept(t, cumulative, older, buckets(0, 2, 9.0, 9, 9, 9, 9))
}

func TestCoalesceKeepsBothExponentialHistogramsWhenOneOfTheirNumbersFalls(t *testing.T) {
	older := scaled[int64](0, 1, 2, 4, 3, 3, 3)
	older.ZeroCount, older.Count = 2, 11
	larger := func(change func(*metricdata.ExponentialHistogramDataPoint[int64])) metricdata.ExponentialHistogramDataPoint[int64] {
		newer := scaled[int64](0, 2, 2, 3, 0, 9, 9, 9, 9)
		newer.ZeroCount, newer.Count = 9, 45
		change(&newer)
		return newer
	}
	join := larger(func(*metricdata.ExponentialHistogramDataPoint[int64]) {})
	requireJoined(t, exponential(cumulative, older), exponential(cumulative, join), exponential(cumulative, join))
	for _, change := range []func(*metricdata.ExponentialHistogramDataPoint[int64]){
		func(p *metricdata.ExponentialHistogramDataPoint[int64]) { p.Count = 10 },
		func(p *metricdata.ExponentialHistogramDataPoint[int64]) { p.ZeroCount = 1 },
		func(p *metricdata.ExponentialHistogramDataPoint[int64]) { p.PositiveBucket.Counts[2] = 2 },
		func(p *metricdata.ExponentialHistogramDataPoint[int64]) { p.PositiveBucket.Offset = 5 },
		func(p *metricdata.ExponentialHistogramDataPoint[int64]) { p.PositiveBucket.Counts = []uint64{0, 9, 9} },
		func(p *metricdata.ExponentialHistogramDataPoint[int64]) {
			p.PositiveBucket, p.NegativeBucket = p.NegativeBucket, p.PositiveBucket
		},
	} {
		requireExponentialsKept(t, cumulative, older, larger(change))
	}
}

func TestCoalesceComparesBucketsAtTheLowerOfTheScales(t *testing.T) {
	left := func(older, newer metricdata.ExponentialHistogramDataPoint[int64]) int {
		newer.StartTime, newer.Time, newer.Count = minute(0), minute(2), 99
		older.StartTime, older.Time = minute(0), minute(1)
		return pointsLeft(exponential(cumulative, older), exponential(cumulative, newer))
	}
	require.Equal(t, 1, left(at(1, -2, 1, 2, 3, 4), at(0, -1, 3, 7)))
	require.Equal(t, 2, left(at(1, -2, 1, 2, 3, 4), at(0, -1, 2, 7)))
	require.Equal(t, 2, left(at(1, -2, 1, 2, 3, 4), at(0, -1, 9, 6)))
	require.Equal(t, 1, left(at(0, -1, 3, 7), at(1, -2, 1, 2, 3, 4)), "the newer one is the finer")
	require.Equal(t, 2, left(at(0, -1, 3, 8), at(1, -2, 1, 2, 3, 4)))
	require.Equal(t, 1, left(at(20, math.MinInt32, 1), at(math.MinInt32, -1, 1)))
	require.Equal(t, 2, left(at(1, 0, math.MaxUint64, 1), at(0, 0, math.MaxUint64)), "an overflow")
}

func TestCoalesceKeepsBothSummariesAcrossAReset(t *testing.T) {
	for _, newer := range []metricdata.SummaryDataPoint{quantiles(1, 2, 50), quantiles(0, 2, 9)} {
		older := quantiles(0, 1, 10)
		requireJoined(t, summaries(older), summaries(newer), summaries(older, newer))
	}
}
