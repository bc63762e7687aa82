package batch

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// Fold moves what newer continues out of older. It fills dst with newer and with
// the data points of older whose series newer has, too. It fills rest with the
// other points of older. Both together have the data of the result of
// [Coalesce], and they have at most as many points as older and newer: Fold joins
// the points that Coalesce joins. A caller that sends rest before dst sends each
// series in order.
//
// A series is in dst or in rest, never in both. In dst its older points that
// could not be joined come before its newer ones. Metrics and scopes that have no
// points in rest are not in rest. Scopes, metrics and points are in the order
// that they have in the result of Coalesce. Two sets of attributes that have the
// same hash count as one series here, but Fold never joins their points. An
// aggregation of an unknown kind is a series of its own.
//
// Newer must follow older in time, and both must have equal resources, see
// [SameResource]. Fold does not change them: other functions may read them
// concurrently. Neither of them may come from dst or rest, which must be two
// buffers. Fold overwrites both buffers. Their collections share nothing mutable
// with older and newer, as in [Copy], or with each other. Each is valid until its
// buffer is filled again. Buffers that are used again for collections of the same
// shape need no allocation, unless instruments differ in their description only.
func Fold(dst, rest *Buffer, older, newer *metricdata.ResourceMetrics) {
	fold(dst, rest, older, newer)
}

// A folder does the work of [Fold], and, if rest is dst, that of [Coalesce].
type folder struct {
	*pairer
	older, newer []metricdata.ScopeMetrics
	dst, rest    *output
	conflicts    map[int32]*conflict // by their first newer metrics
}

// An output is a collection in a buffer that a folder writes.
type output struct {
	b       *Buffer
	scopes  writer[metricdata.ScopeMetrics]
	metrics writer[metricdata.Metrics]
}

func fold(dst, rest *Buffer, older, newer *metricdata.ResourceMetrics) {
	p := newPairer()
	defer p.release()
	f := folder{pairer: p, older: older.ScopeMetrics, newer: newer.ScopeMetrics}
	f.dst, f.rest = &p.outputs[0], &p.outputs[0]
	f.dst.b = dst
	dst.begin()
	defer dst.end()
	dst.collection.Resource = newer.Resource
	if rest != dst {
		f.rest = &p.outputs[1]
		f.rest.b = rest
		rest.begin()
		defer rest.end()
		rest.collection.Resource = older.Resource
	}
	f.foldScopes()
}

// together reports whether all goes into one collection.
func (f *folder) together() bool { return f.rest == f.dst }

func (f *folder) foldScopes() {
	c := f.linkScopes(f.older, f.newer)
	if f.together() {
		f.dst.scopes.open(&f.dst.b.scopes, c.alone+len(f.newer))
	} else {
		f.dst.scopes.open(&f.dst.b.scopes, len(f.newer))
		f.rest.scopes.open(&f.rest.b.scopes, len(f.older))
	}
	for i, home := range c.home {
		if home < 0 {
			f.leaveScope(&f.older[i])
		}
	}
	for j := range f.newer {
		switch {
		case c.older(j) < 0:
			f.copyScope(&f.newer[j])
		case int(c.head[j]) == j:
			f.foldScope(int32(j))
		}
	}
	f.dst.b.collection.ScopeMetrics = f.dst.scopes.close()
	if !f.together() {
		f.rest.b.collection.ScopeMetrics = f.rest.scopes.close()
	}
}

func (f *folder) copyScope(src *metricdata.ScopeMetrics) {
	*f.dst.scopes.next() = metricdata.ScopeMetrics{Scope: src.Scope, Metrics: copyMetrics(f.dst.b, src.Metrics)}
}

// leaveScope writes a scope that only older has.
func (f *folder) leaveScope(src *metricdata.ScopeMetrics) {
	if f.together() {
		f.copyScope(src)
		return
	}
	f.rest.metrics.open(&f.rest.b.metrics, len(src.Metrics))
	for i := range src.Metrics {
		f.leaveMetric(&src.Metrics[i])
	}
	f.closeScope(f.rest, src)
}

// leaveMetric writes a metric of a stream that only older has.
func (f *folder) leaveMetric(src *metricdata.Metrics) {
	if f.together() || kindOf(src.Data).points(src.Data) > 0 {
		copyWhole(f.rest.b, f.rest.metrics.next(), src)
	}
}

// closeScope ends a scope in an output.
func (f *folder) closeScope(to *output, src *metricdata.ScopeMetrics) {
	if metrics := to.metrics.close(); to == f.dst || len(metrics) > 0 {
		*to.scopes.next() = metricdata.ScopeMetrics{Scope: src.Scope, Metrics: metrics}
	}
}

// foldScope folds all scopes that are the same as the given newer one.
func (f *folder) foldScope(scope int32) {
	c := f.linkMetrics(f.older, f.newer, scope)
	f.conflicts = nil
	f.dst.metrics.open(&f.dst.b.metrics, len(f.newerMetrics)+f.extraMetrics(c))
	if !f.together() {
		f.rest.metrics.open(&f.rest.b.metrics, len(f.olderMetrics))
	}
	for i, home := range c.home {
		switch {
		case home < 0:
			f.leaveMetric(f.olderMetrics[i])
		case !f.joins(c, home):
			f.conflict(c, home).writeOlder(f, f.olderMetrics[i])
		}
	}
	for j, m := range f.newerMetrics {
		switch home := c.head[j]; {
		case c.firstOlder[home] < 0:
			copyWhole(f.dst.b, f.dst.metrics.next(), m)
		case f.joins(c, home):
			f.foldMetric(f.olderMetrics[c.firstOlder[home]], m)
		default:
			f.conflict(c, home).writeNewer(f.dst, m)
		}
	}
	f.closeScope(f.dst, &f.newer[scope])
	if !f.together() {
		f.closeScope(f.rest, &f.older[f.scopes.firstOlder[scope]])
	}
}

// extraMetrics returns how many metrics of older may be in dst besides those of
// newer.
func (f *folder) extraMetrics(c *chains[streamID]) int {
	n := 0
	for _, home := range c.home {
		if home < 0 && f.together() || home >= 0 && !f.joins(c, home) {
			n++
		}
	}
	return n
}

// joins reports whether a stream is one instrument, the same in older and newer.
func (f *folder) joins(c *chains[streamID], home int32) bool {
	return c.single(home) && f.olderMetrics[c.firstOlder[home]].Description == f.newerMetrics[home].Description
}

// foldMetric folds two metrics of one instrument.
func (f *folder) foldMetric(older, newer *metricdata.Metrics) {
	k := kindOf(newer.Data)
	to := f.dst.metrics.next()
	data, points, rest := k.fold(f.dst.b, &f.points, to.Data, older.Data, newer.Data, f.together())
	f.dst.b.putMetric(to, newer, data, points)
	if rest > 0 {
		to := f.rest.metrics.next()
		f.rest.b.putMetric(to, older, k.leave(f.rest.b, &f.points, to.Data, older.Data), rest)
	}
}

// conflict returns the conflict of a stream.
func (f *folder) conflict(c *chains[streamID], home int32) *conflict {
	found := f.conflicts[home]
	if found == nil {
		found = newConflict(
			follow(f.olderMetrics, c.nextOlder, c.firstOlder[home]),
			follow(f.newerMetrics, c.nextNewer, home))
		if f.conflicts == nil {
			f.conflicts = make(map[int32]*conflict)
		}
		f.conflicts[home] = found
	}
	return found
}
