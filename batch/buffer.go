package batch

import (
	"slices"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A Buffer is memory for one collection at a time. [Copy], [Part.Copy],
// [Coalesce] and [Merge] fill it: they overwrite the collection before, and zero
// the memory that the new one does not need. A buffer that is filled again and
// again with collections of the same shape allocates nothing.
//
// The zero value is ready to use. Do not copy a Buffer, and do not call its
// methods or the functions that fill it concurrently.
type Buffer struct {
	collection metricdata.ResourceMetrics
	points     int

	scopes    arena[metricdata.ScopeMetrics]
	metrics   arena[metricdata.Metrics]
	ints      numberArenas[int64]
	floats    numberArenas[float64]
	summaries arena[metricdata.SummaryDataPoint]
	counts    arena[uint64]
	bounds    arena[float64]
	quantiles arena[metricdata.QuantileValue]
	attrs     arena[attribute.KeyValue]
	ids       arena[byte]

	// The bounds that the present metric copied last, and their source. Nearly
	// always all points of a metric share them, as in the SDK, so the buffer
	// stores them once for the metric. Two metrics never share them: an exporter
	// may convert one metric in place.
	lastBounds, lastBoundsSource []float64
}

// number is the type of the values of a stream.
type number interface{ int64 | float64 }

// numberArenas is the memory of the types that depend on the type of number.
type numberArenas[N number] struct {
	points       arena[metricdata.DataPoint[N]]
	histograms   arena[metricdata.HistogramDataPoint[N]]
	exponentials arena[metricdata.ExponentialHistogramDataPoint[N]]
	exemplars    arena[metricdata.Exemplar[N]]
}

// Collection returns the present collection, which is empty in a new buffer. It
// belongs to the buffer and is valid until the buffer is filled again. The
// caller may change it.
func (b *Buffer) Collection() *metricdata.ResourceMetrics { return &b.collection }

// Points returns the number of data points in the present collection.
func (b *Buffer) Points() int { return b.points }

// Bytes returns how many bytes of memory the buffer keeps alive: itself, its
// collection, and what it has in reserve for the next one. What the collection
// shares with its source (the resource, attribute sets, strings, aggregations of
// an unknown kind) does not count; a [SetMeter] estimates the attribute sets.
// Bytes takes the same short time for every collection.
func (b *Buffer) Bytes() int {
	n := bufferSize + b.aggregations()
	b.each(func(m memory) { n += m.held() })
	return n
}

// Used returns how many of those bytes the present collection needs, with the
// buffer itself. For a buffer of a steady size it is a little less than Bytes; it
// is much less after a collection that is smaller than the one before.
func (b *Buffer) Used() int {
	n := bufferSize + b.aggregations()
	b.each(func(m memory) { n += m.taken() })
	return n
}

const (
	bufferSize = int(unsafe.Sizeof(Buffer{}))

	// The aggregations that the metrics refer to are the only memory outside of
	// the arenas. All kinds are about as large.
	aggregationSize = int(unsafe.Sizeof(metricdata.Sum[int64]{}))
)

// aggregations returns the size of the aggregations.
func (b *Buffer) aggregations() int { return b.metrics.total * aggregationSize }

// memory is an arena of any type.
type memory interface {
	rewind()
	trim()
	held() int
	taken() int
}

// each calls f on every arena.
func (b *Buffer) each(f func(memory)) {
	f(&b.scopes)
	f(&b.metrics)
	f(&b.ints.points)
	f(&b.ints.histograms)
	f(&b.ints.exponentials)
	f(&b.ints.exemplars)
	f(&b.floats.points)
	f(&b.floats.histograms)
	f(&b.floats.exponentials)
	f(&b.floats.exemplars)
	f(&b.summaries)
	f(&b.counts)
	f(&b.bounds)
	f(&b.quantiles)
	f(&b.attrs)
	f(&b.ids)
}

// begin empties the buffer for new content.
func (b *Buffer) begin() {
	b.each(memory.rewind)
	b.points = 0
}

// end zeroes what is left of the collection before.
func (b *Buffer) end() {
	b.each(memory.trim)
}

// putMetric makes dst a metric of data, which has the given number of points.
// Its name, description and unit are those of like. This ends the metric: the
// next one gets bounds of its own.
func (b *Buffer) putMetric(dst, like *metricdata.Metrics, data metricdata.Aggregation, points int) {
	*dst = metricdata.Metrics{
		Name:        like.Name,
		Description: like.Description,
		Unit:        like.Unit,
		Data:        data,
	}
	b.points += points
	b.lastBounds, b.lastBoundsSource = nil, nil
}

// cloneBounds copies the bounds of a point, unless the point before in the same
// metric has equal ones: then the two share one copy.
func (b *Buffer) cloneBounds(src []float64) []float64 {
	if len(src) == 0 || len(src) != len(b.lastBoundsSource) || &src[0] != &b.lastBoundsSource[0] {
		b.newBounds(src)
	}
	return b.lastBounds
}

func (b *Buffer) newBounds(src []float64) {
	if len(src) == 0 || !slices.Equal(src, b.lastBoundsSource) {
		b.lastBounds = b.bounds.clone(src)
	}
	b.lastBoundsSource = src // the next point mostly has the same slice
}
