package batch

import (
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Bytes returns how many bytes a copy of rm in a new [Buffer] keeps alive: what
// Buffer.Bytes returns after [Copy]. What the copy shares with rm does not
// count. rm may be nil; then Bytes returns the size of an empty buffer. Bytes
// does not change rm and may be called concurrently. It looks at every data
// point and allocates nothing.
func Bytes(rm *metricdata.ResourceMetrics) int {
	n := needs.Get().(*need)
	defer needs.Put(n)
	*n = need{}
	if rm != nil {
		n.addCollection(rm)
	}
	return n.bytes()
}

// needs saves an allocation where a collection has few points.
var needs = sync.Pool{New: func() any { return new(need) }}

// A need is how many elements of each type a collection takes in the arenas of
// a buffer.
type need struct {
	scopes, metrics                                  int
	ints, floats                                     numberNeed
	summaries, counts, bounds, quantiles, attrs, ids int

	// The bounds of the point before in the same metric: see Buffer.cloneBounds.
	lastBounds []float64
}

// numberNeed is the need of what depends on the type of number.
type numberNeed struct{ points, histograms, exponentials, exemplars int }

func (n *need) addCollection(rm *metricdata.ResourceMetrics) {
	n.scopes += len(rm.ScopeMetrics)
	for i := range rm.ScopeMetrics {
		metrics := rm.ScopeMetrics[i].Metrics
		n.metrics += len(metrics)
		for j := range metrics {
			k := kindOf(metrics[j].Data)
			n.addRange(k, metrics[j].Data, 0, k.points(metrics[j].Data))
		}
	}
}

// addPart adds what a part needs. It has the given number of scopes and metrics.
func (n *need) addPart(p Part, scopes, metrics int) {
	n.scopes += scopes
	n.metrics += metrics
	for run := range p.runs() {
		data := run.metric.Data
		n.addRange(kindOf(data), data, run.from, run.to)
	}
}

// addRange adds what the points in data need from index from up to index to.
func (n *need) addRange(k kind, data metricdata.Aggregation, from, to int) {
	k.need(n, data, from, to)
	n.lastBounds = nil
}

// bytes returns how many bytes a new buffer with exactly this memory has.
func (n *need) bytes() int {
	return bufferSize + n.metrics*aggregationSize +
		chunkSize[metricdata.ScopeMetrics](n.scopes) +
		chunkSize[metricdata.Metrics](n.metrics) +
		numberBytes[int64](&n.ints) +
		numberBytes[float64](&n.floats) +
		chunkSize[metricdata.SummaryDataPoint](n.summaries) +
		chunkSize[uint64](n.counts) +
		chunkSize[float64](n.bounds) +
		chunkSize[metricdata.QuantileValue](n.quantiles) +
		chunkSize[attribute.KeyValue](n.attrs) +
		chunkSize[byte](n.ids)
}

func numberBytes[N number](n *numberNeed) int {
	return chunkSize[metricdata.DataPoint[N]](n.points) +
		chunkSize[metricdata.HistogramDataPoint[N]](n.histograms) +
		chunkSize[metricdata.ExponentialHistogramDataPoint[N]](n.exponentials) +
		chunkSize[metricdata.Exemplar[N]](n.exemplars)
}

// isNew reports whether b has no memory yet. Then one pass that counts what a
// collection needs saves the chunks that the arenas would grow by. A used buffer
// mostly has enough memory, so it goes without.
func (b *Buffer) isNew() bool { return b.scopes.chunk == nil }

// reserve makes room in a new buffer for n.
func (b *Buffer) reserve(n *need) {
	b.scopes.reserve(n.scopes)
	b.metrics.reserve(n.metrics)
	reserveNumbers(&b.ints, &n.ints)
	reserveNumbers(&b.floats, &n.floats)
	b.summaries.reserve(n.summaries)
	b.counts.reserve(n.counts)
	b.bounds.reserve(n.bounds)
	b.quantiles.reserve(n.quantiles)
	b.attrs.reserve(n.attrs)
	b.ids.reserve(n.ids)
}

func reserveNumbers[N number](a *numberArenas[N], n *numberNeed) {
	a.points.reserve(n.points)
	a.histograms.reserve(n.histograms)
	a.exponentials.reserve(n.exponentials)
	a.exemplars.reserve(n.exemplars)
}

// The functions below count what those in detach.go copy.

func (k *aggregation[A, P]) need(n *need, data metricdata.Aggregation, from, to int) {
	k.needs(n, k.get(data.(A))[from:to])
}

func (opaque) need(*need, metricdata.Aggregation, int, int) {}

func needNumbers[N number](n *need, of *numberNeed, points []metricdata.DataPoint[N]) {
	of.points += len(points)
	for i := range points {
		if e := points[i].Exemplars; len(e) > 0 {
			needExemplars(n, of, e)
		}
	}
}

func needHistograms[N number](n *need, of *numberNeed, points []metricdata.HistogramDataPoint[N]) {
	of.histograms += len(points)
	for i := range points {
		p := &points[i]
		n.counts += len(p.BucketCounts)
		n.addBounds(p.Bounds)
		if len(p.Exemplars) > 0 {
			needExemplars(n, of, p.Exemplars)
		}
	}
}

// addBounds adds the bounds of a point, unless those of the point before are
// equal.
func (n *need) addBounds(bounds []float64) {
	if len(bounds) > 0 && len(bounds) == len(n.lastBounds) && &bounds[0] == &n.lastBounds[0] {
		return
	}
	if !slices.Equal(bounds, n.lastBounds) {
		n.bounds += len(bounds)
	}
	n.lastBounds = bounds
}

func needExponentials[N number](n *need, of *numberNeed, points []metricdata.ExponentialHistogramDataPoint[N]) {
	of.exponentials += len(points)
	for i := range points {
		p := &points[i]
		n.counts += len(p.PositiveBucket.Counts) + len(p.NegativeBucket.Counts)
		if len(p.Exemplars) > 0 {
			needExemplars(n, of, p.Exemplars)
		}
	}
}

func needSummaries(n *need, points []metricdata.SummaryDataPoint) {
	n.summaries += len(points)
	for i := range points {
		n.quantiles += len(points[i].QuantileValues)
	}
}

func needExemplars[N number](n *need, of *numberNeed, exemplars []metricdata.Exemplar[N]) {
	of.exemplars += len(exemplars)
	for i := range exemplars {
		e := &exemplars[i]
		n.attrs += len(e.FilteredAttributes)
		n.ids += len(e.SpanID) + len(e.TraceID)
	}
}
