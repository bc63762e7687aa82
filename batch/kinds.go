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

	// concat returns in b the points of all in src, and their number. All are
	// of this kind and have equal headers.
	concat(b *Buffer, old metricdata.Aggregation, src []*metricdata.Metrics) (metricdata.Aggregation, int)

	// coalesce returns in b what older and newer become, and the number of
	// points in it. Both are of this kind and have equal headers.
	coalesce(
		b *Buffer, pairs *pairing[attribute.Distinct], old, older, newer metricdata.Aggregation,
	) (metricdata.Aggregation, int)

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
	gaugeInt64         kind = gaugeOf(intArenas)
	gaugeFloat64       kind = gaugeOf(floatArenas)
	sumInt64           kind = sumOf(intArenas)
	sumFloat64         kind = sumOf(floatArenas)
	histogramInt64     kind = histogramOf(intArenas)
	histogramFloat64   kind = histogramOf(floatArenas)
	exponentialInt64   kind = exponentialOf(intArenas)
	exponentialFloat64 kind = exponentialOf(floatArenas)
	summary            kind = summaryKind()
	missingKind        kind = opaque{size: 0}
	unknownKind        kind = opaque{size: 1}
)

func intArenas(b *Buffer) *numberArenas[int64]     { return &b.ints }
func floatArenas(b *Buffer) *numberArenas[float64] { return &b.floats }

func gaugeOf[N number](arenas func(*Buffer) *numberArenas[N]) kind {
	type A = metricdata.Gauge[N]
	type P = metricdata.DataPoint[N]
	return &aggregation[A, P]{
		get:        func(a A) []P { return a.DataPoints },
		with:       func(a A, p []P) A { a.DataPoints = p; return a },
		head:       func(A) header { return header{} },
		arena:      func(b *Buffer) *arena[P] { return &arenas(b).points },
		detach:     func(b *Buffer, p []P) { detachNumbers(b, arenas(b), p) },
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, _ metricdata.Temporality, dst, older, newer *P) bool {
			return joinGauge(b, arenas(b), dst, older, newer)
		},
	}
}

func sumOf[N number](arenas func(*Buffer) *numberArenas[N]) kind {
	type A = metricdata.Sum[N]
	type P = metricdata.DataPoint[N]
	return &aggregation[A, P]{
		get:        func(a A) []P { return a.DataPoints },
		with:       func(a A, p []P) A { a.DataPoints = p; return a },
		head:       func(a A) header { return header{a.Temporality, a.IsMonotonic} },
		arena:      func(b *Buffer) *arena[P] { return &arenas(b).points },
		detach:     func(b *Buffer, p []P) { detachNumbers(b, arenas(b), p) },
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, t metricdata.Temporality, dst, older, newer *P) bool {
			return joinSum(b, arenas(b), t, dst, older, newer)
		},
	}
}

func histogramOf[N number](arenas func(*Buffer) *numberArenas[N]) kind {
	type A = metricdata.Histogram[N]
	type P = metricdata.HistogramDataPoint[N]
	return &aggregation[A, P]{
		get:        func(a A) []P { return a.DataPoints },
		with:       func(a A, p []P) A { a.DataPoints = p; return a },
		head:       func(a A) header { return header{temporality: a.Temporality} },
		arena:      func(b *Buffer) *arena[P] { return &arenas(b).histograms },
		detach:     func(b *Buffer, p []P) { detachHistograms(b, arenas(b), p) },
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, t metricdata.Temporality, dst, older, newer *P) bool {
			return joinHistogram(b, arenas(b), t, dst, older, newer)
		},
	}
}

func exponentialOf[N number](arenas func(*Buffer) *numberArenas[N]) kind {
	type A = metricdata.ExponentialHistogram[N]
	type P = metricdata.ExponentialHistogramDataPoint[N]
	return &aggregation[A, P]{
		get:        func(a A) []P { return a.DataPoints },
		with:       func(a A, p []P) A { a.DataPoints = p; return a },
		head:       func(a A) header { return header{temporality: a.Temporality} },
		arena:      func(b *Buffer) *arena[P] { return &arenas(b).exponentials },
		detach:     func(b *Buffer, p []P) { detachExponentials(b, arenas(b), p) },
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, t metricdata.Temporality, dst, older, newer *P) bool {
			return joinExponential(b, arenas(b), t, dst, older, newer)
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
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, _ metricdata.Temporality, dst, _, newer *P) bool {
			return joinSummary(b, dst, newer)
		},
	}
}
