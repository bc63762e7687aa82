package batch

import (
	"iter"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A Part is a run of consecutive data points of one collection: what goes out
// in one batch. It refers to the collection and is valid as long as that is
// not changed. Parts are values: they may be kept, copied and used
// concurrently.
type Part struct {
	src    *metricdata.ResourceMetrics
	start  position
	points int
}

// position is where a data point stands in a collection.
type position struct{ scope, metric, point int }

// Split yields the parts of rm, in order, of maxPoints data points each but
// for the last, which has what remains. A maxPoints of zero or less means one
// part. A collection without data points has no parts.
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

// Points returns the number of data points in the part.
func (p Part) Points() int { return p.points }

// Copy fills dst with a deep copy of the part, as [Copy] does with a whole
// collection, and returns it. Resource, scopes, names, descriptions, units,
// temporality and monotonicity are those of the source, and so is the order.
// Scopes and metrics that have no data point in the part are left out.
func (p Part) Copy(dst *Buffer) *metricdata.ResourceMetrics {
	if dst == nil {
		dst = new(Buffer)
	}
	dst.begin()
	defer dst.end()

	scopes, metrics := p.size()
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

// size returns how many scopes and metrics the part touches.
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

// A run is the part of one metric that lies in a Part.
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
// for all of them.
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
	copyMetric(w.Buffer, &w.metrics[len(w.metrics)-1], r.metric, r.from, r.to)
	scope := &w.scopes[len(w.scopes)-1]
	scope.Metrics = w.metrics[:len(w.metrics):len(w.metrics)]
}
