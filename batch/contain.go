package batch

import (
	"slices"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// The functions in this file report whether the newer of two cumulative points
// with the same start contains what the older one has measured, so that the older one can go. A fall
// is a reset: the newer point has forgotten what was before it. The start time
// does not always tell. An observable counter reports what its callback returns,
// for instance a number of the kernel's that begins anew with its device.

// falls reports whether a monotonic value has begun anew. A NaN holds nothing
// that could be lost.
func falls[N number](older, newer N) bool { return !(newer >= older || older != older) }

func containsHistogram[N number](older, newer *metricdata.HistogramDataPoint[N]) bool {
	if newer.Count < older.Count || len(newer.BucketCounts) != len(older.BucketCounts) {
		return false
	}
	for i, c := range older.BucketCounts {
		if newer.BucketCounts[i] < c {
			return false
		}
	}
	return slices.Equal(older.Bounds, newer.Bounds)
}

func containsExponential[N number](older, newer *metricdata.ExponentialHistogramDataPoint[N]) bool {
	if newer.Count < older.Count || newer.ZeroCount < older.ZeroCount || newer.ZeroThreshold != older.ZeroThreshold {
		return false
	}
	scale := min(int64(older.Scale), int64(newer.Scale))
	olderShift, newerShift := int64(older.Scale)-scale, int64(newer.Scale)-scale
	positive := bucketPair{older: &older.PositiveBucket, newer: &newer.PositiveBucket}
	negative := bucketPair{older: &older.NegativeBucket, newer: &newer.NegativeBucket}
	return positive.contains(olderShift, newerShift) && negative.contains(olderShift, newerShift)
}

func containsSummary(older, newer *metricdata.SummaryDataPoint) bool {
	return newer.Count >= older.Count
}

// contains reports whether no bucket of the newer point is smaller than that of
// the older one, with the scales of both lowered by the shifts.
func (p bucketPair) contains(olderShift, newerShift int64) bool {
	older := bucketReader{p.older, olderShift, 0}
	newer := bucketReader{p.newer, newerShift, 0}
	for older.more() {
		at := older.index()
		want, counted := older.sum(at)
		if want == 0 && counted {
			continue
		}
		newer.skip(at)
		have, known := newer.sum(at)
		if !counted || !known || have < want {
			return false
		}
	}
	return true
}

// A bucketReader reads the buckets of one sign in order, as they are when the
// scale is lowered by shift.
type bucketReader struct {
	*metricdata.ExponentialBucket
	shift int64
	next  int
}

func (r *bucketReader) more() bool { return r.next < len(r.Counts) }

// index returns the index of the next bucket.
func (r *bucketReader) index() int64 { return lowered(int64(r.Offset)+int64(r.next), r.shift) }

// skip moves to the first bucket whose index is at least the given one.
func (r *bucketReader) skip(index int64) {
	for r.more() && r.index() < index {
		r.next++
	}
}

// sum reads all buckets of an index and returns the sum of their counts, or
// false if it overflows.
func (r *bucketReader) sum(index int64) (sum uint64, ok bool) {
	for ok = true; r.more() && r.index() == index; r.next++ {
		var fits bool
		sum, fits = addCounts(sum, r.Counts[r.next])
		ok = ok && fits
	}
	return sum, ok
}
