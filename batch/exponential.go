package batch

import (
	"math"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// maxBuckets is the maximum number of buckets of one sign in a joined point,
// unless one of the two points has more. It is the default maximum size of the
// SDK's aggregation, see
// https://opentelemetry.io/docs/specs/otel/metrics/sdk/#base2-exponential-bucket-histogram-aggregation.
const maxBuckets = 160

// joinExponential joins two points, as the functions in join.go do.
func joinExponential[N number](
	b *Buffer, a *numberArenas[N], h header, dst, older, newer *metricdata.ExponentialHistogramDataPoint[N],
) bool {
	*dst = *newer
	switch h.temporality {
	case metricdata.DeltaTemporality:
		if !addExponentials(b, dst, older, newer) {
			return false
		}
	case metricdata.CumulativeTemporality:
		if !older.StartTime.Equal(newer.StartTime) || !containsExponential(older, newer) {
			return false
		}
		dst.PositiveBucket.Counts = b.counts.clone(newer.PositiveBucket.Counts)
		dst.NegativeBucket.Counts = b.counts.clone(newer.NegativeBucket.Counts)
	default:
		return false
	}
	dst.Exemplars = joinExemplars(b, a, older.Exemplars, newer.Exemplars)
	return true
}

func addExponentials[N number](b *Buffer, dst, older, newer *metricdata.ExponentialHistogramDataPoint[N]) bool {
	if older.ZeroThreshold != newer.ZeroThreshold {
		return false
	}
	var timely, summed, counted, zeroes bool
	dst.StartTime, timely = joinTime(older.StartTime, older.Time, newer.StartTime, newer.Time)
	dst.Sum, summed = add(older.Sum, newer.Sum)
	dst.Count, counted = addCounts(older.Count, newer.Count)
	dst.ZeroCount, zeroes = addCounts(older.ZeroCount, newer.ZeroCount)
	if !timely || !summed || !counted || !zeroes {
		return false
	}
	dst.Min = joinExtrema(older.Min, newer.Min, older.Count, newer.Count, lower)
	dst.Max = joinExtrema(older.Max, newer.Max, older.Count, newer.Count, higher)

	positive := bucketPair{older: &older.PositiveBucket, newer: &newer.PositiveBucket}
	negative := bucketPair{older: &older.NegativeBucket, newer: &newer.NegativeBucket}
	scale := min(int64(older.Scale), int64(newer.Scale))
	olderShift, newerShift := int64(older.Scale)-scale, int64(newer.Scale)-scale
	for !positive.fits(olderShift, newerShift) || !negative.fits(olderShift, newerShift) {
		scale, olderShift, newerShift = scale-1, olderShift+1, newerShift+1
	}
	if scale < math.MinInt32 {
		return false
	}
	dst.Scale = int32(scale)
	var ok bool
	if dst.PositiveBucket, ok = positive.add(b, olderShift, newerShift); !ok {
		return false
	}
	dst.NegativeBucket, ok = negative.add(b, olderShift, newerShift)
	return ok
}

// A bucketPair has the buckets of one sign of two points.
type bucketPair struct{ older, newer *metricdata.ExponentialBucket }

// fits reports whether the sum of both, with their scales lowered by the
// shifts, has few enough buckets.
func (p bucketPair) fits(olderShift, newerShift int64) bool {
	limit := max(maxBuckets, len(p.older.Counts), len(p.newer.Counts))
	return p.span(olderShift, newerShift).size() <= int64(limit)
}

func (p bucketPair) span(olderShift, newerShift int64) span {
	return spanOf(p.older).lowered(olderShift).union(spanOf(p.newer).lowered(newerShift))
}

// add returns the sum of both with their scales lowered by the shifts, or false
// if a count or an index overflows.
func (p bucketPair) add(b *Buffer, olderShift, newerShift int64) (sum metricdata.ExponentialBucket, ok bool) {
	s := p.span(olderShift, newerShift)
	if s.size() == 0 {
		return sum, true
	}
	if s.low < math.MinInt32 || s.low > math.MaxInt32 {
		return sum, false
	}
	sum.Offset = int32(s.low)
	sum.Counts = b.counts.take(int(s.size()))
	clear(sum.Counts)
	return sum, addBuckets(&sum, p.older, olderShift) && addBuckets(&sum, p.newer, newerShift)
}

// addBuckets adds src, with its scale lowered by shift, to dst.
func addBuckets(dst, src *metricdata.ExponentialBucket, shift int64) bool {
	for i, c := range src.Counts {
		if c == 0 {
			continue
		}
		at := lowered(int64(src.Offset)+int64(i), shift) - int64(dst.Offset)
		var ok bool
		if dst.Counts[at], ok = addCounts(dst.Counts[at], c); !ok {
			return false
		}
	}
	return true
}

// lowered returns the index of the bucket that contains bucket i when the scale
// is lowered by shift: each step makes one bucket of the two 2k and 2k+1.
func lowered(i, shift int64) int64 { return i >> shift }

// A span is a range of bucket indexes from low to end, without end.
type span struct{ low, end int64 }

// spanOf returns the span from the first to the last bucket that is not empty.
func spanOf(b *metricdata.ExponentialBucket) span {
	first, last := 0, len(b.Counts)
	for first < last && b.Counts[first] == 0 {
		first++
	}
	for first < last && b.Counts[last-1] == 0 {
		last--
	}
	return span{int64(b.Offset) + int64(first), int64(b.Offset) + int64(last)}
}

func (s span) size() int64 { return s.end - s.low }

func (s span) lowered(shift int64) span {
	if s.size() == 0 {
		return s
	}
	return span{lowered(s.low, shift), lowered(s.end-1, shift) + 1}
}

func (s span) union(o span) span {
	switch {
	case s.size() == 0:
		return o
	case o.size() == 0:
		return s
	default:
		return span{min(s.low, o.low), max(s.end, o.end)}
	}
}
