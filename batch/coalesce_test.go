package batch_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

const (
	delta      = metricdata.DeltaTemporality
	cumulative = metricdata.CumulativeTemporality
)

type integer = int64

// minute returns the time some minutes after the epoch.
func minute(n int) time.Time { return metrictest.Epoch.Add(time.Duration(n) * time.Minute) }

// series are a few to take from.
var series = metrictest.Series(5)

// requireCoalesced requires that older and newer become want, in new and in
// reused memory, and that the result shares nothing with them and leaves them as
// they were.
func requireCoalesced(t testingT, older, newer, want *metricdata.ResourceMetrics) {
	t.Helper()
	olderBefore, newerBefore := batch.Copy(nil, older), batch.Copy(nil, newer)
	var buffer batch.Buffer
	for _, dst := range []*batch.Buffer{nil, &buffer, &buffer, &buffer} {
		got := batch.Coalesce(dst, older, newer)
		requireEqual(t, want, got)
		requireOwnMemory(t, got)
		requireNothingShared(t, older, got)
		requireNothingShared(t, newer, got)
		scribble(got)
		requireEqual(t, olderBefore, older)
		requireEqual(t, newerBefore, newer)
	}
	require.Len(t, loosePoints(want), buffer.Points())
	requireClean(t, &buffer)
}

// requireJoined is requireCoalesced for collections of one metric.
func requireJoined(t testingT, older, newer, want metricdata.Aggregation) {
	t.Helper()
	requireCoalesced(t, collectionWith(older), collectionWith(newer), collectionWith(want))
}

func sum[N int64 | float64](temporality metricdata.Temporality, points ...metricdata.DataPoint[N]) metricdata.Aggregation {
	return metricdata.Sum[N]{Temporality: temporality, IsMonotonic: true, DataPoints: points}
}

func number[N int64 | float64](from, to int, value N) metricdata.DataPoint[N] {
	return metricdata.DataPoint[N]{Attributes: series[0], StartTime: minute(from), Time: minute(to), Value: value}
}

func histogram[N int64 | float64](temporality metricdata.Temporality, points ...metricdata.HistogramDataPoint[N]) metricdata.Aggregation {
	return metricdata.Histogram[N]{Temporality: temporality, DataPoints: points}
}

// buckets returns a point of a histogram with the bounds 10 and 20.
func buckets[N int64 | float64](from, to int, sum N, counts ...uint64) metricdata.HistogramDataPoint[N] {
	point := metricdata.HistogramDataPoint[N]{
		Attributes: series[0], StartTime: minute(from), Time: minute(to),
		Bounds: []float64{10, 20}, BucketCounts: counts, Sum: sum,
	}
	for _, c := range counts {
		point.Count += c
	}
	return point
}

// bothNumbers runs a test for the two types of number.
func bothNumbers(t *testing.T, ofInt, ofFloat func(*testing.T)) {
	t.Run("int64", ofInt)
	t.Run("float64", ofFloat)
}

func TestCoalesceAddsDeltaSums(t *testing.T) {
	bothNumbers(t, testAddsDeltaSums[integer], testAddsDeltaSums[float64])
}

func testAddsDeltaSums[N int64 | float64](t *testing.T) {
	requireJoined(t, sum(delta, number[N](0, 1, 2)), sum(delta, number[N](1, 2, 3)), sum(delta, number[N](0, 2, 5)))
	requireJoined(t, sum(delta, number[N](0, 1, 2)), sum(delta, number[N](7, 9, -3)), sum(delta, number[N](0, 9, -1)))
}

func TestCoalesceAddsDeltaHistograms(t *testing.T) {
	bothNumbers(t, testAddsDeltaHistograms[integer], testAddsDeltaHistograms[float64])
}

func testAddsDeltaHistograms[N int64 | float64](t *testing.T) {
	older, newer, want := buckets[N](0, 1, 47, 2, 0, 1), buckets[N](1, 2, 93, 0, 3, 4), buckets[N](0, 2, 140, 2, 3, 5)
	older.Min, older.Max = metricdata.NewExtrema[N](3), metricdata.NewExtrema[N](40)
	newer.Min, newer.Max = metricdata.NewExtrema[N](11), metricdata.NewExtrema[N](50)
	want.Min, want.Max = metricdata.NewExtrema[N](3), metricdata.NewExtrema[N](50)
	requireJoined(t, histogram(delta, older), histogram(delta, newer), histogram(delta, want))
	older.Time, newer.StartTime = minute(2), minute(0) // the other way round
	requireJoined(t, histogram(delta, newer), histogram(delta, older), histogram(delta, want))

	without := func(p metricdata.HistogramDataPoint[N]) metricdata.Aggregation {
		p.Bounds, p.BucketCounts = nil, nil
		return histogram(delta, p)
	}
	older.Time, newer.StartTime = minute(1), minute(1)
	requireJoined(t, without(older), without(newer), without(want))
}

func TestCoalesceTakesTheNewerCumulativePoint(t *testing.T) {
	bothNumbers(t, testTakesTheNewerCumulativePoint[integer], testTakesTheNewerCumulativePoint[float64])
}

func testTakesTheNewerCumulativePoint[N int64 | float64](t *testing.T) {
	newerSum := sum(cumulative, number[N](0, 2, 5))
	requireJoined(t, sum(cumulative, number[N](0, 1, 2)), newerSum, newerSum)

	elsewhere := number[N](0, 2, 5)
	elsewhere.StartTime = minute(0).In(time.FixedZone("elsewhere", 3600)) // the same instant
	requireJoined(t, sum(cumulative, number[N](0, 1, 2)), sum(cumulative, elsewhere), sum(cumulative, elsewhere))

	older, newer := buckets[N](0, 1, 30, 2, 0, 1), buckets[N](0, 2, 50, 2, 0, 2)
	requireJoined(t, histogram(cumulative, older), histogram(cumulative, newer), histogram(cumulative, newer))
}

func TestCoalesceTakesTheNewerGaugeAndSummary(t *testing.T) {
	bothNumbers(t, testTakesTheNewerGauge[integer], testTakesTheNewerGauge[float64])
	older, newer := quantiles(0, 1, 10), quantiles(0, 2, 20)
	requireJoined(t, summaries(older), summaries(newer), summaries(newer))
}

func summaries(points ...metricdata.SummaryDataPoint) metricdata.Aggregation {
	return metricdata.Summary{DataPoints: points}
}

func quantiles(from, to int, n float64) metricdata.SummaryDataPoint {
	return metricdata.SummaryDataPoint{
		Attributes: series[0], StartTime: minute(from), Time: minute(to), Count: uint64(n), Sum: n,
		QuantileValues: []metricdata.QuantileValue{{Quantile: 0.5, Value: n}},
	}
}

func testTakesTheNewerGauge[N int64 | float64](t *testing.T) {
	gauge := func(p metricdata.DataPoint[N]) metricdata.Aggregation {
		return metricdata.Gauge[N]{DataPoints: []metricdata.DataPoint[N]{p}}
	}
	requireJoined(t, gauge(number[N](0, 1, 9)), gauge(number[N](5, 6, 3)), gauge(number[N](5, 6, 3)))
}

// requireSumsKept requires that two points of one series stay as they are.
func requireSumsKept[N int64 | float64](t *testing.T, temporality metricdata.Temporality, a, b metricdata.DataPoint[N]) {
	t.Helper()
	requireJoined(t, sum(temporality, a), sum(temporality, b), sum(temporality, a, b))
}

func requireHistogramsKept[N int64 | float64](t *testing.T, temporality metricdata.Temporality, a, b metricdata.HistogramDataPoint[N]) {
	t.Helper()
	requireJoined(t, histogram(temporality, a), histogram(temporality, b), histogram(temporality, a, b))
}

func requireExponentialsKept[N int64 | float64](t *testing.T, temporality metricdata.Temporality, a, b metricdata.ExponentialHistogramDataPoint[N]) {
	t.Helper()
	requireJoined(t, exponential(temporality, a), exponential(temporality, b), exponential(temporality, a, b))
}

func TestCoalesceKeepsBothPointsAcrossAReset(t *testing.T) {
	requireSumsKept(t, cumulative, number[int64](0, 1, 7), number[int64](2, 3, 1))
	requireSumsKept(t, cumulative, number(0, 1, 7.0), number(2, 3, 1.0))
	requireHistogramsKept(t, cumulative, buckets[int64](0, 1, 7, 1, 0, 0), buckets[int64](2, 3, 1, 1, 0, 0))
	requireHistogramsKept(t, cumulative, buckets(0, 1, 7.0, 1, 0, 0), buckets(2, 3, 1.0, 1, 0, 0))
	requireExponentialsKept(t, cumulative, scaled[int64](0, 1, 0, 0, 1), scaled[int64](2, 3, 0, 0, 1))
	requireExponentialsKept(t, cumulative, scaled[float64](0, 1, 0, 0, 1), scaled[float64](2, 3, 0, 0, 1))
}

func TestCoalesceKeepsBothPointsWhenTheBoundsChange(t *testing.T) {
	older := buckets[int64](0, 1, 7, 1, 0, 0)
	for _, bounds := range [][]float64{{10, 21}, {10}, {10, 20, 30}, nil, {10, math.NaN()}} {
		newer := buckets[int64](1, 2, 7, make([]uint64, len(bounds)+1)...)
		newer.Bounds = bounds
		if len(bounds) == 2 && math.IsNaN(bounds[1]) { // nothing is equal to it
			got := batch.Coalesce(nil, collectionWith(histogram(delta, newer)), collectionWith(histogram(delta, newer)))
			require.Equal(t, 2, batch.Points(got))
			continue
		}
		requireHistogramsKept(t, delta, older, newer)
	}
	newer := buckets[int64](1, 2, 7, 1, 0)
	requireHistogramsKept(t, delta, older, newer) // as many bounds, but not as many counts
}

func TestCoalesceKeepsBothPointsRatherThanOverflow(t *testing.T) {
	requireSumsKept(t, delta, number[int64](0, 1, math.MaxInt64), number[int64](1, 2, 1))
	requireSumsKept(t, delta, number[int64](0, 1, -1), number[int64](1, 2, math.MinInt64))
	requireSumsKept(t, delta, number(0, 1, math.MaxFloat64), number(1, 2, math.MaxFloat64))
	requireSumsKept(t, delta, number(0, 1, -math.MaxFloat64), number(1, 2, -math.MaxFloat64))
	requireHistogramsKept(t, delta, buckets[int64](0, 1, math.MaxInt64, 1, 0, 0), buckets[int64](1, 2, 1, 1, 0, 0))
	requireHistogramsKept(t, delta, buckets[int64](0, 1, 1, math.MaxUint64, 0, 0), buckets[int64](1, 2, 1, 0, 0, 1))

	older, newer := buckets[int64](0, 1, 1, math.MaxUint64, 0, 0), buckets[int64](1, 2, 1, 1, 0, 0)
	older.Count = 1 // invalid, but no reason to lose a count
	requireHistogramsKept(t, delta, older, newer)
}

func TestCoalesceAddsUpToTheLargestNumbers(t *testing.T) {
	join := func(a, b, want int64) {
		requireJoined(t, sum(delta, number(0, 1, a)), sum(delta, number(1, 2, b)), sum(delta, number(0, 2, want)))
	}
	join(math.MaxInt64-1, 1, math.MaxInt64)
	join(math.MinInt64, math.MaxInt64, -1)
	join(-1, math.MinInt64+1, math.MinInt64)
	requireJoined(t, histogram(delta, buckets[int64](0, 1, 0, math.MaxUint64-1, 0, 0)),
		histogram(delta, buckets[int64](1, 2, 0, 1, 0, 0)), histogram(delta, buckets[int64](0, 2, 0, math.MaxUint64, 0, 0)))
	infinite := math.Inf(1)
	requireJoined(t, sum(delta, number(0, 1, infinite)), sum(delta, number(1, 2, 1.0)), sum(delta, number(0, 2, infinite)))
}

func TestCoalesceKeepsBothPointsWhenTheClockGoesBackwards(t *testing.T) {
	for _, times := range [][4]int{{5, 6, 1, 2}, {5, 6, 5, 5}, {5, 1, 6, 3}, {5, 6, 3, 8}} {
		from, to, newerFrom, newerTo := times[0], times[1], times[2], times[3]
		requireSumsKept(t, delta, number[int64](from, to, 1), number[int64](newerFrom, newerTo, 2))
		requireHistogramsKept(t, delta, buckets[int64](from, to, 1, 1, 0, 0), buckets[int64](newerFrom, newerTo, 1, 1, 0, 0))
		requireExponentialsKept(t, delta, scaled[int64](from, to, 0, 0, 1), scaled[int64](newerFrom, newerTo, 0, 0, 1))
	}
}

func TestCoalesceKeepsBothPointsOfAnUnknownTemporality(t *testing.T) {
	requireSumsKept(t, 0, number[int64](0, 1, 1), number[int64](0, 2, 2))
	requireHistogramsKept(t, 0, buckets[float64](0, 1, 1, 1, 0, 0), buckets[float64](0, 2, 1, 1, 0, 0))
	requireExponentialsKept(t, 3, scaled[int64](0, 1, 0, 0, 1), scaled[int64](0, 2, 0, 0, 1))
}

func TestCoalesceTellsResourcesApart(t *testing.T) {
	a, b := metrictest.EveryKind(1), metrictest.EveryKind(1)
	assert.NotSame(t, a.Resource, b.Resource)
	assert.True(t, batch.SameResource(a, a))
	assert.True(t, batch.SameResource(a, b))
	assert.Same(t, b.Resource, batch.Coalesce(nil, a, b).Resource)
	for _, other := range []*resource.Resource{
		nil, resource.NewSchemaless(attribute.String("service.name", "other")),
		resource.NewWithAttributes("https://example.com/schema", attribute.String("service.name", "metrictest")),
	} {
		assert.False(t, batch.SameResource(a, &metricdata.ResourceMetrics{Resource: other}))
	}
	assert.True(t, batch.SameResource(&metricdata.ResourceMetrics{}, &metricdata.ResourceMetrics{}))
}
