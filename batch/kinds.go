package batch

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A kind is what this package can do with one kind of aggregation. Each
// operation is a method, so that no operation can forget a kind.
//
// Old is the aggregation that was in the same place of the buffer the last time.
// A method returns old if it is equal to the result, because putting a value
// into an interface allocates.
type kind interface {
	// points returns the number of data points in data.
	points(data metricdata.Aggregation) int

	// header returns what data says about all its points.
	header(data metricdata.Aggregation) header

	// copy returns a copy in b of data, with its points from index from up to
	// index to.
	copy(b *Buffer, old, data metricdata.Aggregation, from, to int) metricdata.Aggregation

	// need adds to n what copy takes from the arenas.
	need(n *need, data metricdata.Aggregation, from, to int)

	// dropExemplars removes the exemplars of all points in data, in place.
	dropExemplars(data metricdata.Aggregation)

	// retain returns data with the points for which keep returns true, in place, and
	// whether there are any.
	retain(data metricdata.Aggregation, keep func() bool) (metricdata.Aggregation, bool)

	// sets returns the attribute sets of the points in data.
	sets(data metricdata.Aggregation) sets

	// concat returns in b the points of all in src, and their number. All are
	// of this kind and have equal headers.
	concat(b *Buffer, old metricdata.Aggregation, src []*metricdata.Metrics) (metricdata.Aggregation, int)

	// fold returns in b what newer becomes together with the older points of
	// its series, or, if together is true, with all older points. It also returns
	// the numbers of points in it and of those that are left. Both are of this
	// kind and have equal headers. Pairs is its working memory, and keeps for
	// leave what is left.
	fold(
		b *Buffer, pairs *pairing[attribute.Distinct], old, older, newer metricdata.Aggregation, together bool,
	) (data metricdata.Aggregation, points, rest int)

	// leave returns in b the points of older that fold has left.
	leave(b *Buffer, pairs *pairing[attribute.Distinct], old, older metricdata.Aggregation) metricdata.Aggregation

	// resolve decides what becomes of the points of a conflict.
	resolve(c *conflict)

	// compose returns in b an aggregation like another one, of the given parts.
	compose(b *Buffer, old, like metricdata.Aggregation, parts []part) metricdata.Aggregation

	// appendSeries appends to ids an id for each point of data, whose stream has
	// the given hash.
	appendSeries(ids []uint64, stream uint64, data metricdata.Aggregation) []uint64

	// repeats reports whether two points in data have equal attributes. Pairs
	// is its working memory.
	repeats(pairs *pairing[attribute.Distinct], data metricdata.Aggregation) bool
}

// kindOf is the only function that distinguishes the kinds of aggregation.
func kindOf(data metricdata.Aggregation) kind {
	switch data.(type) {
	case metricdata.Gauge[int64]:
		return gaugeInt64
	case metricdata.Gauge[float64]:
		return gaugeFloat64
	case metricdata.Sum[int64]:
		return sumInt64
	case metricdata.Sum[float64]:
		return sumFloat64
	case metricdata.Histogram[int64]:
		return histogramInt64
	case metricdata.Histogram[float64]:
		return histogramFloat64
	case metricdata.ExponentialHistogram[int64]:
		return exponentialInt64
	case metricdata.ExponentialHistogram[float64]:
		return exponentialFloat64
	case metricdata.Summary:
		return summary
	case nil:
		return missingKind
	default:
		return unknownKind
	}
}

var (
	gaugeInt64         kind = gaugeOf(intArenas, intNeed)
	gaugeFloat64       kind = gaugeOf(floatArenas, floatNeed)
	sumInt64           kind = sumOf(intArenas, intNeed)
	sumFloat64         kind = sumOf(floatArenas, floatNeed)
	histogramInt64     kind = histogramOf(intArenas, intNeed)
	histogramFloat64   kind = histogramOf(floatArenas, floatNeed)
	exponentialInt64   kind = exponentialOf(intArenas, intNeed)
	exponentialFloat64 kind = exponentialOf(floatArenas, floatNeed)
	summary            kind = summaryKind()
	missingKind        kind = opaque{size: 0}
	unknownKind        kind = opaque{size: 1}
)

func intNeed(n *need) *numberNeed   { return &n.ints }
func floatNeed(n *need) *numberNeed { return &n.floats }

func intArenas(b *Buffer) *numberArenas[int64]     { return &b.ints }
func floatArenas(b *Buffer) *numberArenas[float64] { return &b.floats }

func gaugeOf[N number](arenas func(*Buffer) *numberArenas[N], of func(*need) *numberNeed) kind {
	type A = metricdata.Gauge[N]
	type P = metricdata.DataPoint[N]
	return &aggregation[A, P]{
		get:        func(a A) []P { return a.DataPoints },
		with:       func(a A, p []P) A { a.DataPoints = p; return a },
		head:       func(A) header { return header{} },
		arena:      func(b *Buffer) *arena[P] { return &arenas(b).points },
		detach:     func(b *Buffer, p []P) { detachNumbers(b, arenas(b), p) },
		needs:      func(n *need, p []P) { needNumbers(n, of(n), p) },
		bare:       bareNumbers[N],
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, _ header, dst, older, newer *P) bool {
			return joinGauge(b, arenas(b), dst, older, newer)
		},
		resets: func(header, *P, *P) bool { return false },
	}
}

func sumOf[N number](arenas func(*Buffer) *numberArenas[N], of func(*need) *numberNeed) kind {
	type A = metricdata.Sum[N]
	type P = metricdata.DataPoint[N]
	return &aggregation[A, P]{
		get:        func(a A) []P { return a.DataPoints },
		with:       func(a A, p []P) A { a.DataPoints = p; return a },
		head:       func(a A) header { return header{a.Temporality, a.IsMonotonic} },
		arena:      func(b *Buffer) *arena[P] { return &arenas(b).points },
		detach:     func(b *Buffer, p []P) { detachNumbers(b, arenas(b), p) },
		needs:      func(n *need, p []P) { needNumbers(n, of(n), p) },
		bare:       bareNumbers[N],
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, h header, dst, older, newer *P) bool {
			return joinSum(b, arenas(b), h, dst, older, newer)
		},
		resets: func(h header, older, newer *P) bool {
			return h.cumulative() && h.monotonic && older.StartTime.Equal(newer.StartTime) && falls(older.Value, newer.Value)
		},
	}
}

func histogramOf[N number](arenas func(*Buffer) *numberArenas[N], of func(*need) *numberNeed) kind {
	type A = metricdata.Histogram[N]
	type P = metricdata.HistogramDataPoint[N]
	return &aggregation[A, P]{
		get:        func(a A) []P { return a.DataPoints },
		with:       func(a A, p []P) A { a.DataPoints = p; return a },
		head:       func(a A) header { return header{temporality: a.Temporality} },
		arena:      func(b *Buffer) *arena[P] { return &arenas(b).histograms },
		detach:     func(b *Buffer, p []P) { detachHistograms(b, arenas(b), p) },
		needs:      func(n *need, p []P) { needHistograms(n, of(n), p) },
		bare:       bareHistograms[N],
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, h header, dst, older, newer *P) bool {
			return joinHistogram(b, arenas(b), h, dst, older, newer)
		},
		resets: func(h header, older, newer *P) bool {
			return h.cumulative() && older.StartTime.Equal(newer.StartTime) && !containsHistogram(older, newer)
		},
	}
}

func exponentialOf[N number](arenas func(*Buffer) *numberArenas[N], of func(*need) *numberNeed) kind {
	type A = metricdata.ExponentialHistogram[N]
	type P = metricdata.ExponentialHistogramDataPoint[N]
	return &aggregation[A, P]{
		get:        func(a A) []P { return a.DataPoints },
		with:       func(a A, p []P) A { a.DataPoints = p; return a },
		head:       func(a A) header { return header{temporality: a.Temporality} },
		arena:      func(b *Buffer) *arena[P] { return &arenas(b).exponentials },
		detach:     func(b *Buffer, p []P) { detachExponentials(b, arenas(b), p) },
		needs:      func(n *need, p []P) { needExponentials(n, of(n), p) },
		bare:       bareExponentials[N],
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, h header, dst, older, newer *P) bool {
			return joinExponential(b, arenas(b), h, dst, older, newer)
		},
		resets: func(h header, older, newer *P) bool {
			return h.cumulative() && older.StartTime.Equal(newer.StartTime) && !containsExponential(older, newer)
		},
	}
}

func summaryKind() kind {
	type A = metricdata.Summary
	type P = metricdata.SummaryDataPoint
	return &aggregation[A, P]{
		get:        func(a A) []P { return a.DataPoints },
		with:       func(a A, p []P) A { a.DataPoints = p; return a },
		head:       func(A) header { return header{} },
		arena:      func(b *Buffer) *arena[P] { return &b.summaries },
		detach:     detachSummaries,
		needs:      needSummaries,
		bare:       bareSummaries,
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, _ header, dst, older, newer *P) bool {
			return joinSummary(b, dst, older, newer)
		},
		resets: func(_ header, older, newer *P) bool {
			return older.StartTime.Equal(newer.StartTime) && !containsSummary(older, newer)
		},
	}
}
