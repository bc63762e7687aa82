package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// Coalesce fills dst with one collection that stands for older and newer, which
// follow each other in time, and returns it; with a nil dst it allocates. The
// result has a lower resolution in time, but the same totals. It belongs to dst,
// is valid until dst is filled again, and shares nothing mutable with older and
// newer, as in [Copy]. Neither of them may come from dst, and both must have
// equal resources, see [SameResource]. Coalesce does not change them: other
// functions may read them concurrently.
//
// Coalesce joins two points of the same series where that is possible:
//
//   - It adds delta sums and histograms; the point covers the time of both.
//   - Of two cumulative points, and of two summaries, it keeps the newer one if
//     that contains the older one: the start is the same, and no value has
//     fallen. What must not fall is the value of a monotonic sum, the count of a
//     summary, and the count and each bucket of a histogram, whose bounds or zero
//     threshold must be the same, too. Any change of a non-monotonic sum is valid.
//   - Of two gauges it keeps the newer one.
//
// In all other cases it keeps both points, the older one first: when a
// cumulative series was reset in between, when the bounds or the zero threshold
// of a histogram changed, when a delta would overflow, and when time went
// backwards between two deltas.
//
// A fall is a reset even if the start time stays the same. This is so for an
// observable counter over a counter of the kernel, and for metrics that a bridge
// takes from another library. A backend sees the fall, and needs the value before
// it for the total. Coalesce therefore keeps the last point before such a reset
// and the first one after it. It can do so only if it sees the fall: if older
// begins after the fall and newer has grown beyond the value before it, their
// joined point hides the fall from a backend. A caller avoids that if it joins
// the oldest collections first.
//
// A series is identified by its scope, by the name, unit, kind,
// temporality and monotonicity of its metric, and by its attributes. Exponential
// histograms get the lower scale of the two. They get a still lower one while
// they have more than 160 buckets of one sign and more than either had before.
// A point keeps the newest exemplars, as many as the one of the two that had
// more.
//
// Scopes, metrics and points have the order of newer; those that only older has
// come first, so that older points come first also if the result is split. The
// points of a series always keep their order.
//
// A stream occurs several times in a collection if instruments differ in their
// description only. Coalesce joins the points of an instrument with those of the
// same instrument. Older points of the stream that stay then come before its
// newer ones: in a metric of their own, or, where their instrument has a newer
// point, in the first newer metric that has the series. Scopes that occur several
// times in newer become one if older has them, too.
//
// The rules follow the data model of OpenTelemetry for changes of the
// temporality and resolution of a stream:
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#temporality,
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#resets-and-gaps,
// https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponential-scale.
func Coalesce(dst *Buffer, older, newer *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	if dst == nil {
		dst = new(Buffer)
	}
	fold(dst, dst, older, newer)
	return &dst.collection
}
