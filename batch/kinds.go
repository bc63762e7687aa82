package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

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
	same   func(a, b A) bool       // a and b are alike but for their data points
	arena  func(*Buffer) *arena[P] // where copies of P live
	deepen func(*Buffer, []P)      // replaces what the points share with copies
}

func (k aggregation[A, P]) points(data metricdata.Aggregation) int {
	return len(k.get(data.(A)))
}

func (k aggregation[A, P]) copy(b *Buffer, old, data metricdata.Aggregation, from, to int) metricdata.Aggregation {
	src := data.(A)
	points := k.arena(b).clone(k.get(src)[from:to])
	k.deepen(b, points)
	if was, ok := old.(A); ok && k.same(was, src) && sameSlice(k.get(was), points) {
		return old
	}
	return k.with(src, points)
}

// sameSlice reports whether a and b are the same elements in the same place.
func sameSlice[P any](a, b []P) bool {
	return len(a) == len(b) && cap(a) == cap(b) && len(a) > 0 && &a[0] == &b[0]
}

func gaugeOf[N int64 | float64](arenas func(*Buffer) *numberArenas[N]) kind {
	type A = metricdata.Gauge[N]
	type P = metricdata.DataPoint[N]
	return &aggregation[A, P]{
		get:    func(a A) []P { return a.DataPoints },
		with:   func(a A, p []P) A { a.DataPoints = p; return a },
		same:   func(A, A) bool { return true },
		arena:  func(b *Buffer) *arena[P] { return &arenas(b).points },
		deepen: func(b *Buffer, p []P) { deepenPoints(b, arenas(b), p) },
	}
}

func sumOf[N int64 | float64](arenas func(*Buffer) *numberArenas[N]) kind {
	type A = metricdata.Sum[N]
	type P = metricdata.DataPoint[N]
	return &aggregation[A, P]{
		get:  func(a A) []P { return a.DataPoints },
		with: func(a A, p []P) A { a.DataPoints = p; return a },
		same: func(a, b A) bool {
			return a.Temporality == b.Temporality && a.IsMonotonic == b.IsMonotonic
		},
		arena:  func(b *Buffer) *arena[P] { return &arenas(b).points },
		deepen: func(b *Buffer, p []P) { deepenPoints(b, arenas(b), p) },
	}
}

func histogramOf[N int64 | float64](arenas func(*Buffer) *numberArenas[N]) kind {
	type A = metricdata.Histogram[N]
	type P = metricdata.HistogramDataPoint[N]
	return &aggregation[A, P]{
		get:    func(a A) []P { return a.DataPoints },
		with:   func(a A, p []P) A { a.DataPoints = p; return a },
		same:   func(a, b A) bool { return a.Temporality == b.Temporality },
		arena:  func(b *Buffer) *arena[P] { return &arenas(b).histograms },
		deepen: func(b *Buffer, p []P) { deepenHistograms(b, arenas(b), p) },
	}
}

func exponentialOf[N int64 | float64](arenas func(*Buffer) *numberArenas[N]) kind {
	type A = metricdata.ExponentialHistogram[N]
	type P = metricdata.ExponentialHistogramDataPoint[N]
	return &aggregation[A, P]{
		get:    func(a A) []P { return a.DataPoints },
		with:   func(a A, p []P) A { a.DataPoints = p; return a },
		same:   func(a, b A) bool { return a.Temporality == b.Temporality },
		arena:  func(b *Buffer) *arena[P] { return &arenas(b).exponentials },
		deepen: func(b *Buffer, p []P) { deepenExponentials(b, arenas(b), p) },
	}
}

func summaryKind() kind {
	type A = metricdata.Summary
	type P = metricdata.SummaryDataPoint
	return &aggregation[A, P]{
		get:    func(a A) []P { return a.DataPoints },
		with:   func(a A, p []P) A { a.DataPoints = p; return a },
		same:   func(A, A) bool { return true },
		arena:  func(b *Buffer) *arena[P] { return &b.summaries },
		deepen: deepenSummaries,
	}
}

// opaque implements kind for what has no known insides. It is passed on as it
// is and counts as size data points.
type opaque struct{ size int }

func (k opaque) points(metricdata.Aggregation) int { return k.size }

func (opaque) copy(_ *Buffer, _, data metricdata.Aggregation, _, _ int) metricdata.Aggregation {
	return data
}
