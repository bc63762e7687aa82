package batch

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A conflict is a stream that occurs as several metrics. The SDK makes them of
// instruments that differ in their description only, and of views that give two
// instruments one name. To a backend they are one stream, so the order of its
// points must be kept across all of them. To join them, they must be told apart.
//
// This holds in each collection: a series that occurs in several metrics with the
// same description is of several instruments, in the order of the SDK. A series
// that occurs several times in one metric has a history. Its last point there is
// that of the instrument; the others can never be joined again.
//
// Conflicts are rare, so this is simple and allocates.
type conflict struct {
	older, newer []*metricdata.Metrics
	fate         [][]int32     // of each older point: one of the constants, or the newer metric that it goes into
	partner      map[spot]spot // of each newer point that is joined the older one
}

// A spot is the place of a data point.
type spot struct{ metric, point int }

// A part is what becomes one data point: an older point, a newer one, or both.
type part struct {
	older, newer metricdata.Aggregation // or nil
	i, j         int
}

func newConflict(older, newer []*metricdata.Metrics) *conflict {
	c := &conflict{older: older, newer: newer}
	kindOf(newer[0].Data).resolve(c)
	return c
}

// begin makes all older points absent.
func (c *conflict) begin(points func(*metricdata.Metrics) int) {
	c.partner = make(map[spot]spot)
	c.fate = make([][]int32, len(c.older))
	for o, m := range c.older {
		c.fate[o] = none(nil, points(m))
	}
}

// A rivalry has the points of one series in a conflict.
type rivalry struct{ older, newer []spot }

// hasHistory reports whether a point is followed by another one in its metric.
func hasHistory(spots []spot, i int) bool {
	return i+1 < len(spots) && spots[i].metric == spots[i+1].metric
}

// clean reports whether no newer metric has two points of the series.
func (r *rivalry) clean() bool {
	for i := range r.newer {
		if hasHistory(r.newer, i) {
			return false
		}
	}
	return true
}

func (k *aggregation[A, P]) resolve(c *conflict) {
	c.begin(func(m *metricdata.Metrics) int { return k.points(m.Data) })
	for _, r := range k.rivalries(c) {
		if len(r.newer) > 0 {
			k.settle(c, r)
		}
	}
}

func (k *aggregation[A, P]) rivalries(c *conflict) map[attribute.Distinct]*rivalry {
	all := make(map[attribute.Distinct]*rivalry)
	each := func(metrics []*metricdata.Metrics, add func(*rivalry, spot)) {
		for n, m := range metrics {
			points := k.get(m.Data.(A))
			for i := range points {
				key := k.attributes(&points[i]).Equivalent()
				if all[key] == nil {
					all[key] = new(rivalry)
				}
				add(all[key], spot{n, i})
			}
		}
	}
	each(c.older, func(r *rivalry, s spot) { r.older = append(r.older, s) })
	each(c.newer, func(r *rivalry, s spot) { r.newer = append(r.newer, s) })
	return all
}

// settle decides what becomes of the older points of a series. Those that are
// not joined have to come before all newer ones, in their order. So they all
// stay, or they all go into the first newer metric that has the series.
func (k *aggregation[A, P]) settle(c *conflict, r *rivalry) {
	taken := make([]bool, len(r.newer))
	clean, stay := r.clean(), true
	isJoined := make([]bool, len(r.older))
	for i, o := range r.older {
		n := -1
		if clean && !hasHistory(r.older, i) {
			n = c.counterpart(o, r.newer, taken)
		} else {
			stay = false
		}
		if n < 0 {
			continue
		}
		taken[n] = true
		if isJoined[i] = k.joinable(c, r, o, r.newer[n]); isJoined[i] {
			c.partner[r.newer[n]] = o
		} else {
			stay = false
		}
	}
	for i, o := range r.older {
		switch {
		case isJoined[i]:
			c.fate[o.metric][o.point] = joined
		case stay:
			c.fate[o.metric][o.point] = stays
		default:
			c.fate[o.metric][o.point] = int32(r.newer[0].metric)
		}
	}
}

// counterpart returns the first newer point of the instrument of an older one
// that is not taken, or -1.
func (c *conflict) counterpart(o spot, newer []spot, taken []bool) int {
	for n, s := range newer {
		if !taken[n] && c.newer[s.metric].Description == c.older[o.metric].Description {
			return n
		}
	}
	return -1
}

// joinable reports whether two points can be joined. The first point after a
// reset stays, as in joinPair.
func (k *aggregation[A, P]) joinable(c *conflict, r *rivalry, o, n spot) bool {
	at := func(metrics []*metricdata.Metrics, s spot) *P { return &k.get(metrics[s.metric].Data.(A))[s.point] }
	older, newer := at(c.older, o), at(c.newer, n)
	h := k.header(c.newer[0].Data)
	for i := range r.older {
		if hasHistory(r.older, i) && k.resets(h, at(c.older, r.older[i]), older) {
			return false
		}
	}
	var scratch Buffer
	var dst P
	return k.attributes(older).Equals(k.attributes(newer)) && k.join(&scratch, h, &dst, older, newer)
}

// writeOlder writes what stays of an older metric.
func (c *conflict) writeOlder(f *folder, m *metricdata.Metrics) {
	o := place(c.older, m)
	c.write(f.dst, m, c.partsOf(o, func(fate int32) bool { return fate == stays || f.together() && fate == absent }))
	if !f.together() {
		c.write(f.rest, m, c.partsOf(o, func(fate int32) bool { return fate == absent }))
	}
}

// writeNewer writes a newer metric, with the older points that go into it.
func (c *conflict) writeNewer(to *output, m *metricdata.Metrics) {
	n := place(c.newer, m)
	var parts []part
	for o := range c.older {
		parts = append(parts, c.partsOf(o, func(fate int32) bool { return fate == int32(n) })...)
	}
	for j := range kindOf(m.Data).points(m.Data) {
		next := part{newer: m.Data, j: j}
		if o, ok := c.partner[spot{n, j}]; ok {
			next.older, next.i = c.older[o.metric].Data, o.point
		}
		parts = append(parts, next)
	}
	if len(parts) == 0 {
		copyWhole(to.b, to.metrics.next(), m)
		return
	}
	c.write(to, m, parts)
}

func (c *conflict) partsOf(o int, wanted func(fate int32) bool) []part {
	var parts []part
	for i, fate := range c.fate[o] {
		if wanted(fate) {
			parts = append(parts, part{older: c.older[o].Data, i: i})
		}
	}
	return parts
}

// write writes a metric like another one, if it has any points.
func (c *conflict) write(to *output, like *metricdata.Metrics, parts []part) {
	if len(parts) > 0 {
		m := to.metrics.next()
		to.b.putMetric(m, like, kindOf(like.Data).compose(to.b, m.Data, like.Data, parts), len(parts))
	}
}

func (k *aggregation[A, P]) compose(
	b *Buffer, old, like metricdata.Aggregation, parts []part,
) metricdata.Aggregation {
	src := like.(A)
	points := k.arena(b).take(len(parts))
	for n, p := range parts {
		switch dst := points[n : n+1]; {
		case p.older == nil:
			k.copyPoints(b, dst, k.get(p.newer.(A))[p.j:p.j+1])
		case p.newer == nil:
			k.copyPoints(b, dst, k.get(p.older.(A))[p.i:p.i+1])
		default:
			k.join(b, k.head(src), &dst[0], &k.get(p.older.(A))[p.i], &k.get(p.newer.(A))[p.j])
		}
	}
	return k.box(old, src, points)
}

func place(metrics []*metricdata.Metrics, m *metricdata.Metrics) int {
	for i := range metrics {
		if metrics[i] == m {
			return i
		}
	}
	panic("batch: a metric is not in its conflict")
}
