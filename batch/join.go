package batch

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// The functions in this file join two data points of the same series. They fill
// dst, which then shares no memory with the two, or report false if the two
// have to stay apart. Then dst is undefined.

func joinSum[N number](
	b *Buffer, a *numberArenas[N], h header, dst, older, newer *metricdata.DataPoint[N],
) bool {
	*dst = *newer
	switch h.temporality {
	case metricdata.DeltaTemporality:
		var ok bool
		if dst.Value, ok = add(older.Value, newer.Value); !ok {
			return false
		}
		if dst.StartTime, ok = joinTime(older.StartTime, older.Time, newer.StartTime, newer.Time); !ok {
			return false
		}
	case metricdata.CumulativeTemporality:
		if !older.StartTime.Equal(newer.StartTime) || h.monotonic && falls(older.Value, newer.Value) {
			return false
		}
	default:
		return false
	}
	dst.Exemplars = joinExemplars(b, a, older.Exemplars, newer.Exemplars)
	return true
}

func joinGauge[N number](b *Buffer, a *numberArenas[N], dst, older, newer *metricdata.DataPoint[N]) bool {
	*dst = *newer
	dst.Exemplars = joinExemplars(b, a, older.Exemplars, newer.Exemplars)
	return true
}

func joinHistogram[N number](
	b *Buffer, a *numberArenas[N], h header, dst, older, newer *metricdata.HistogramDataPoint[N],
) bool {
	*dst = *newer
	switch h.temporality {
	case metricdata.DeltaTemporality:
		if !addHistograms(b, dst, older, newer) {
			return false
		}
	case metricdata.CumulativeTemporality:
		if !older.StartTime.Equal(newer.StartTime) || !containsHistogram(older, newer) {
			return false
		}
		dst.BucketCounts = b.counts.clone(newer.BucketCounts)
	default:
		return false
	}
	dst.Bounds = b.cloneBounds(newer.Bounds)
	dst.Exemplars = joinExemplars(b, a, older.Exemplars, newer.Exemplars)
	return true
}

func addHistograms[N number](b *Buffer, dst, older, newer *metricdata.HistogramDataPoint[N]) bool {
	if len(older.BucketCounts) != len(newer.BucketCounts) || !slices.Equal(older.Bounds, newer.Bounds) {
		return false
	}
	var timely, summed, counted bool
	dst.StartTime, timely = joinTime(older.StartTime, older.Time, newer.StartTime, newer.Time)
	dst.Sum, summed = add(older.Sum, newer.Sum)
	dst.Count, counted = addCounts(older.Count, newer.Count)
	if !timely || !summed || !counted {
		return false
	}
	dst.Min = joinExtrema(older.Min, newer.Min, older.Count, newer.Count, lower)
	dst.Max = joinExtrema(older.Max, newer.Max, older.Count, newer.Count, higher)
	dst.BucketCounts = b.counts.clone(newer.BucketCounts)
	for i, c := range older.BucketCounts {
		var ok bool
		if dst.BucketCounts[i], ok = addCounts(dst.BucketCounts[i], c); !ok {
			return false
		}
	}
	return true
}

func joinSummary(b *Buffer, dst, older, newer *metricdata.SummaryDataPoint) bool {
	if !older.StartTime.Equal(newer.StartTime) || !containsSummary(older, newer) {
		return false
	}
	*dst = *newer
	dst.QuantileValues = b.quantiles.clone(newer.QuantileValues)
	return true
}

// joinTime returns the start of a delta point that covers two others. It reports
// false if time went backwards between the two: the point would end before it
// starts, or not cover the newer one.
func joinTime(olderStart, olderTime, newerStart, newerTime time.Time) (start time.Time, ok bool) {
	return olderStart, !newerStart.Before(olderStart) && !newerTime.Before(olderTime) && !newerTime.Before(olderStart)
}

// add returns a + b, or false if the sum overflows.
func add[N number](a, b N) (sum N, ok bool) {
	sum = a + b
	if N(1)/2 == 0 { // integers
		return sum, (b >= 0) == (sum >= a)
	}
	overflow := math.IsInf(float64(sum), 0) && !math.IsInf(float64(a), 0) && !math.IsInf(float64(b), 0)
	return sum, !overflow
}

func addCounts(a, b uint64) (sum uint64, ok bool) {
	sum, carry := bits.Add64(a, b, 0)
	return sum, carry == 0
}

func lower[N number](a, b N) bool  { return a < b }
func higher[N number](a, b N) bool { return a > b }

// joinExtrema returns the better of two extrema. It returns an unknown one if one
// of the two is unknown, unless that one is of no measurement.
func joinExtrema[N number](
	older, newer metricdata.Extrema[N], olderCount, newerCount uint64, better func(a, b N) bool,
) metricdata.Extrema[N] {
	o, olderKnown := older.Value()
	n, newerKnown := newer.Value()
	switch {
	case olderCount == 0:
		return newer
	case newerCount == 0:
		return older
	case !olderKnown || !newerKnown:
		return metricdata.Extrema[N]{}
	case better(o, n):
		return older
	default:
		return newer
	}
}

// joinExemplars returns copies of the newest exemplars of both points, as many
// as the point with more exemplars has. Those of the older point come first.
func joinExemplars[N number](
	b *Buffer, a *numberArenas[N], older, newer []metricdata.Exemplar[N],
) []metricdata.Exemplar[N] {
	room := len(older) - len(newer)
	if room <= 0 {
		return cloneExemplars(b, a, newer)
	}
	dst := a.exemplars.take(len(older))
	copy(dst, older)
	slices.SortStableFunc(dst, func(x, y metricdata.Exemplar[N]) int { return y.Time.Compare(x.Time) })
	slices.Reverse(dst[:room])
	copy(dst[room:], newer)
	detachExemplars(b, dst)
	return dst
}
