package batch

import (
	"iter"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A Part is a run of consecutive data points of one collection, for one batch.
// It refers to the collection and is valid until the collection changes. A Part
// is a value: it may be kept and copied, and its methods may be called
// concurrently.
type Part struct {
	src    *metricdata.ResourceMetrics
	start  position
	points int
}

// position is the place of a data point in a collection.
type position struct{ scope, metric, point int }

// Split yields the parts of rm in order. Each has maxPoints data points, except
// the last one, which has the rest. A maxPoints of zero or less means one part.
// A collection without data points has no parts. Split copies nothing and does
// not change rm.
func Split(rm *metricdata.ResourceMetrics, maxPoints int) iter.Seq[Part] {
	return func(yield func(Part) bool) {
		left := Points(rm)
		if maxPoints <= 0 {
			maxPoints = left
		}
		var start position
		for left > 0 {
			part := Part{src: rm, start: start, points: min(left, maxPoints)}
			if !yield(part) {
				return
			}
			left -= part.points
			start = part.end()
		}
	}
}

// Whole returns the part of rm that is all of it.
func Whole(rm *metricdata.ResourceMetrics) Part { return Part{src: rm, points: Points(rm)} }

// Cut returns the first n data points of the part, and the rest. Where the part
// has no more than n, the rest is empty.
func (p Part) Cut(n int) (head, tail Part) {
	n = max(0, min(n, p.points))
	head = Part{src: p.src, start: p.start, points: n}
	return head, Part{src: p.src, start: head.end(), points: p.points - n}
}

// Points returns the number of data points in the part.
func (p Part) Points() int { return p.points }

// Copy fills dst with a deep copy of the part and returns it, as the function
// [Copy] does with a whole collection. Resource, scopes, names, descriptions,
// units, temporality, monotonicity and order are those of the source. The copy
// omits scopes and metrics without a data point in the part.
func (p Part) Copy(dst *Buffer) *metricdata.ResourceMetrics {
	if dst == nil {
		dst = new(Buffer)
	}
	scopes, metrics := p.size()
	if dst.isNew() {
		var n need
		n.addPart(p, scopes, metrics)
		dst.reserve(&n)
	}
	dst.begin()
	defer dst.end()

	to := partWriter{
		Buffer:  dst,
		scopes:  dst.scopes.take(scopes)[:0],
		metrics: dst.metrics.take(metrics)[:0],
	}
	for run := range p.runs() {
		to.write(run)
	}
	dst.collection.Resource = p.src.Resource
	dst.collection.ScopeMetrics = to.scopes
	return &dst.collection
}

// CopyFrom fills dst with a deep copy of rm without its first n data points, and
// returns it, as [Part.Copy] does.
func CopyFrom(dst *Buffer, rm *metricdata.ResourceMetrics, n int) *metricdata.ResourceMetrics {
	_, rest := Whole(rm).Cut(n)
	return rest.Copy(dst)
}

// size returns the number of scopes and metrics that have points in the part.
func (p Part) size() (scopes, metrics int) {
	var last *metricdata.ScopeMetrics
	for run := range p.runs() {
		metrics++
		if run.scope != last {
			scopes++
			last = run.scope
		}
	}
	return scopes, metrics
}

// end returns the position behind the last data point of the part.
func (p Part) end() position {
	end := p.start
	for run := range p.runs() {
		end = run.end
	}
	return end
}

// A run is what a Part has of one metric.
type run struct {
	scope    *metricdata.ScopeMetrics
	metric   *metricdata.Metrics
	from, to int
	end      position // behind the run
}

// runs yields the runs of the part in order; none is empty.
func (p Part) runs() iter.Seq[run] {
	return func(yield func(run) bool) {
		left, at := p.points, p.start
		for ; left > 0; at = (position{scope: at.scope + 1}) {
			scope := &p.src.ScopeMetrics[at.scope]
			for ; left > 0 && at.metric < len(scope.Metrics); at = (position{at.scope, at.metric + 1, 0}) {
				metric := &scope.Metrics[at.metric]
				n := min(left, kindOf(metric.Data).points(metric.Data)-at.point)
				if n == 0 {
					continue
				}
				left -= n
				end := position{at.scope, at.metric, at.point + n}
				if !yield(run{scope: scope, metric: metric, from: at.point, to: at.point + n, end: end}) {
					return
				}
			}
		}
	}
}

// A partWriter appends runs to the collection in a buffer. Its slices have room
// for all runs of the part.
type partWriter struct {
	*Buffer
	last    *metricdata.ScopeMetrics // the source of the scope written last
	scopes  []metricdata.ScopeMetrics
	metrics []metricdata.Metrics
}

func (w *partWriter) write(r run) {
	if r.scope != w.last {
		w.last = r.scope
		w.metrics = w.metrics[len(w.metrics):]
		w.scopes = append(w.scopes, metricdata.ScopeMetrics{Scope: r.scope.Scope})
	}
	w.metrics = w.metrics[:len(w.metrics)+1]
	copyRange(w.Buffer, &w.metrics[len(w.metrics)-1], r.metric, r.from, r.to)
	scope := &w.scopes[len(w.scopes)-1]
	scope.Metrics = w.metrics[:len(w.metrics):len(w.metrics)]
}
