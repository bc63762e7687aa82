package queuetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// A reference remembers all that was put into a queue, without a bound, and
// judges what came out. Times tell which point is which: the points of a series
// that were put in have different times, however the clock goes.
type reference struct {
	series     map[seriesID]*history
	ids        []seriesID // in the order of their first points
	deliveries []*delivery
}

// A history is what was put in of one series.
type history struct {
	name      string
	oneOff    bool // comes once
	points    []point
	positions []uint64      // of the collections that they were in
	byTime    map[int64]int // index of the point of that time
	byStart   map[int64]int // of deltas: index of the point with that start
}

// A delivery is what came out of the queue in one entry.
type delivery struct {
	position uint64 // of the entry
	turn     int    // when it was taken first, compared with others
	pieces   []piece
	oldest   uint64 // position of the oldest data
	returned bool
}

// A piece is a point that came out.
type piece struct {
	id seriesID
	point
	first, last int // indexes of the oldest and newest point that it stands for, as far as known
}

// nameOf returns what a reader of a failure needs to know of a series.
func nameOf(r *resource.Resource, id seriesID, p point) string {
	return fmt.Sprintf("series %s of %s (%q, kind %d, %v, monotonic: %v) of %s",
		p.attributes.Encoded(attribute.DefaultEncoder()), id.name, id.description, id.kind, id.temporality, id.monotonic, r)
}

// listed returns a line for each point.
func listed(points []point) string {
	var lines strings.Builder
	for _, p := range points {
		fmt.Fprintf(&lines, "\n\t%s to %s: %v", p.start.Format(clockFormat), p.time.Format(clockFormat), p.amount)
	}
	return lines.String()
}

const clockFormat = "15:04:05.999999999"

func newReference() *reference { return &reference{series: map[seriesID]*history{}} }

// put remembers a collection.
func (r *reference) put(rm *metricdata.ResourceMetrics, position uint64) {
	eachPoint(rm, func(id seriesID, p point) {
		h := r.series[id]
		if h == nil {
			h = &history{name: nameOf(rm.Resource, id, p), oneOff: p.attributes.HasValue(oneOffKey), byTime: map[int64]int{}, byStart: map[int64]int{}}
			r.series[id] = h
			r.ids = append(r.ids, id)
		}
		h.byTime[p.time.UnixNano()], h.byStart[p.start.UnixNano()] = len(h.points), len(h.points)
		h.points, h.positions = append(h.points, p), append(h.positions, position)
	})
}

// take remembers what came out. It returns an error if a point of that time
// was never put in.
func (r *reference) take(rm *metricdata.ResourceMetrics, position uint64) (*delivery, error) {
	d := &delivery{position: position}
	var err error
	eachPoint(rm, func(id seriesID, p point) {
		h := r.series[id]
		if h == nil {
			err = fmt.Errorf("%s came out and was never put in", nameOf(rm.Resource, id, p))
			return
		}
		last, known := h.byTime[p.time.UnixNano()]
		first := last
		if id.isDelta() && known {
			first, known = h.byStart[p.start.UnixNano()]
		}
		if !known || first > last {
			err = fmt.Errorf("%s: no points from %v to %v were put in", h.name, p.start, p.time)
			return
		}
		d.pieces = append(d.pieces, piece{id, p, first, last})
		if at := h.positions[first]; d.oldest == 0 || at < d.oldest {
			d.oldest = at
		}
	})
	r.deliveries = append(r.deliveries, d)
	return d, err
}

// taken returns what came out of each series, in the order of the positions,
// without what was given back. An entry that was given back comes out again
// after newer ones that are in flight.
func (r *reference) taken() map[seriesID][]piece {
	out := map[seriesID][]piece{}
	for _, d := range r.inOrder() {
		for _, p := range d.pieces {
			out[p.id] = append(out[p.id], p)
		}
	}
	return out
}

func (r *reference) inOrder() []*delivery {
	all := slices.DeleteFunc(slices.Clone(r.deliveries), func(d *delivery) bool { return d.returned })
	slices.SortStableFunc(all, func(a, b *delivery) int { return cmp.Compare(a.turn, b.turn) })
	return all
}

// checkOrder returns an error if the points of a series changed their order, or
// if two stand for the same time.
func (r *reference) checkOrder() error {
	newest := map[seriesID]piece{} // of each stream
	covered := map[seriesID]int{}  // of each instrument: the points before this index have been delivered
	for _, d := range r.inOrder() {
		for _, p := range d.pieces {
			stream := p.id.sameStream()
			before, known := newest[stream]
			if known && r.at(p) < r.at(before) {
				return fmt.Errorf("%v: the point of %v came out after the one of %v", r.series[p.id].name, p.time, before.time)
			}
			newest[stream] = p
			if p.first < covered[p.id] {
				return fmt.Errorf("%v: the point from %v to %v overlaps with one before it", r.series[p.id].name, p.start, p.time)
			}
			covered[p.id] = p.last + 1
		}
	}
	return nil
}

// at returns when the newest data of p was put in.
func (r *reference) at(p piece) uint64 { return r.series[p.id].positions[p.last] }

// checkTotals returns an error if a series does not have the totals of what was
// put in. It looks only at those for which judged is true.
func (r *reference) checkTotals(judged func(*history) bool) error {
	taken := r.taken()
	for _, id := range r.ids {
		h := r.series[id]
		if !judged(h) {
			continue
		}
		out, covered := make([]point, len(taken[id])), 0
		for i, p := range taken[id] {
			out[i] = p.point
			if id.isDelta() && p.first != covered {
				return fmt.Errorf("%s: the point from %v to %v does not cover all the time since the one before it",
					h.name, p.start, p.time)
			}
			covered = p.last + 1
		}
		if len(out) == 0 {
			return fmt.Errorf("%s: nothing came out of %d points", h.name, len(h.points))
		}
		scale := min(lowestScale(h.points), lowestScale(out))
		if want, got := total(id.instrument, h.points, scale), total(id.instrument, out, scale); !want.equal(got) {
			return fmt.Errorf("%s: the total of what was put in is %v, of what came out %v\nput in:%v\ncame out:%v",
				h.name, want, got, listed(h.points), listed(out))
		}
	}
	return nil
}

func lowestScale(points []point) int32 {
	scale := int32(baseScale)
	for _, p := range points {
		scale = min(scale, p.scale)
	}
	return scale
}

// total returns what points of a series mean together: the sum of deltas, the
// increase of what only grows, and else the last value.
func total(in instrument, points []point, scale int32) (sum amount) {
	var before point
	for _, p := range points {
		p.amount = p.lowered(scale)
		switch {
		case in.isDelta():
			sum = sum.plus(p.amount, 1)
		case !in.grows():
			sum = p.amount
		case p.start.Equal(before.start) && !p.fellFrom(before.amount, in):
			sum = sum.plus(p.amount, 1).plus(before.amount, -1)
		default: // a backend takes it that this point started at zero
			sum = sum.plus(p.amount, 1)
		}
		before = p
	}
	return sum
}
