package batch

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A kind is what this package can do with one kind of aggregation. Each
// operation is a method, so that a kind cannot be forgotten in any of them.
type kind interface {
	// points returns the number of data points in data.
	points(data metricdata.Aggregation) int

	// copy returns a copy in b of the data points of data from the index from
	// up to to. If old, which stood in the same place the last time, is equal
	// to the copy, it is returned instead: putting a value into an interface
	// allocates.
	copy(b *Buffer, old, data metricdata.Aggregation, from, to int) metricdata.Aggregation

	// header returns what data says of all its points.
	header(data metricdata.Aggregation) header

	// coalesce returns in b what becomes of older and newer, which are of this
	// kind and have equal headers, and the number of data points in it. Old is
	// as in copy.
	coalesce(b *Buffer, m *matcher, old, older, newer metricdata.Aggregation) (metricdata.Aggregation, int)

	// concat returns in b the data points of all of src, which are of this kind
	// and have equal headers, and their number. Old is as in copy.
	concat(b *Buffer, old metricdata.Aggregation, src []*metricdata.Metrics) (metricdata.Aggregation, int)

	// repeats reports whether two data points in data have equal attributes.
	repeats(m *matcher, data metricdata.Aggregation) bool
}

// kindOf is the one place that tells the kinds of aggregation apart.
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

// aggregation implements kind for an aggregation A with data points of type P.
type aggregation[A metricdata.Aggregation, P any] struct {
	get    func(A) []P             // the data points of A
	with   func(A, []P) A          // A with other data points
	head   func(A) header          // what A says of all of them
	arena  func(*Buffer) *arena[P] // where copies of P live
	deepen func(*Buffer, []P)      // replaces what the points share with copies

	attributes func(*P) *attribute.Set
	join       func(b *Buffer, h header, dst, older, newer *P) bool // see join.go
}

func (k aggregation[A, P]) points(data metricdata.Aggregation) int {
	return len(k.get(data.(A)))
}

func (k aggregation[A, P]) copy(b *Buffer, old, data metricdata.Aggregation, from, to int) metricdata.Aggregation {
	src := data.(A)
	points := k.arena(b).clone(k.get(src)[from:to])
	k.deepen(b, points)
	return k.box(old, src, points)
}

// box returns src with the given points, and old if that is the same.
func (k aggregation[A, P]) box(old metricdata.Aggregation, src A, points []P) metricdata.Aggregation {
	if was, ok := old.(A); ok && k.head(was) == k.head(src) && sameSlice(k.get(was), points) {
		return old
	}
	return k.with(src, points)
}

func (k aggregation[A, P]) header(data metricdata.Aggregation) header { return k.head(data.(A)) }

// sameSlice reports whether a and b are the same elements in the same place.
func sameSlice[P any](a, b []P) bool {
	return len(a) == len(b) && cap(a) == cap(b) && len(a) > 0 && &a[0] == &b[0]
}

func gaugeOf[N number](arenas func(*Buffer) *numberArenas[N]) kind {
	type A = metricdata.Gauge[N]
	type P = metricdata.DataPoint[N]
	return &aggregation[A, P]{
		get:        func(a A) []P { return a.DataPoints },
		with:       func(a A, p []P) A { a.DataPoints = p; return a },
		head:       func(A) header { return header{} },
		arena:      func(b *Buffer) *arena[P] { return &arenas(b).points },
		deepen:     func(b *Buffer, p []P) { deepenPoints(b, arenas(b), p) },
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, h header, dst, older, newer *P) bool {
			return joinGauge(b, arenas(b), h, dst, older, newer)
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
		deepen:     func(b *Buffer, p []P) { deepenPoints(b, arenas(b), p) },
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, h header, dst, older, newer *P) bool {
			return joinSum(b, arenas(b), h, dst, older, newer)
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
		deepen:     func(b *Buffer, p []P) { deepenHistograms(b, arenas(b), p) },
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, h header, dst, older, newer *P) bool {
			return joinHistogram(b, arenas(b), h, dst, older, newer)
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
		deepen:     func(b *Buffer, p []P) { deepenExponentials(b, arenas(b), p) },
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join: func(b *Buffer, h header, dst, older, newer *P) bool {
			return joinExponential(b, arenas(b), h, dst, older, newer)
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
		deepen:     deepenSummaries,
		attributes: func(p *P) *attribute.Set { return &p.Attributes },
		join:       joinSummary,
	}
}

// opaque implements kind for what has no known insides. It is passed on as it
// is and counts as size data points.
type opaque struct{ size int }

func (k opaque) points(metricdata.Aggregation) int { return k.size }

func (opaque) copy(_ *Buffer, _, data metricdata.Aggregation, _, _ int) metricdata.Aggregation {
	return data
}

func (opaque) header(metricdata.Aggregation) header { return header{} }

// coalesce is called for missing data only: what is unknown is of no stream.
func (opaque) coalesce(*Buffer, *matcher, metricdata.Aggregation, metricdata.Aggregation, metricdata.Aggregation) (metricdata.Aggregation, int) {
	return nil, 0
}

// concat is called for missing data only, too.
func (opaque) concat(*Buffer, metricdata.Aggregation, []*metricdata.Metrics) (metricdata.Aggregation, int) {
	return nil, 0
}

func (opaque) repeats(*matcher, metricdata.Aggregation) bool { return false }
