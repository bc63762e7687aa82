package queuetest

import (
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// A dropOldest is what a queue with the policy DropOldest does, as far as
// matters for what arrives.
type dropOldest struct {
	bound   int
	waiting []parcel
	points  int
	arrived float64
}

// A parcel is a collection of which only its size matters, and how much it
// says.
type parcel struct {
	points int
	worth  float64
}

func (d *dropOldest) put(rm *metricdata.ResourceMetrics) {
	if d == nil {
		return
	}
	p := parcel{points: batch.Points(rm)}
	eachPoint(rm, func(id seriesID, q point) { p.worth += worth(id.instrument, q) })
	for len(d.waiting) > 0 && d.points+p.points > d.bound {
		d.points -= d.waiting[0].points
		d.waiting = d.waiting[1:]
	}
	d.waiting, d.points = append(d.waiting, p), d.points+p.points
}

func (d *dropOldest) deliverAll() {
	if d == nil {
		return
	}
	for _, p := range d.waiting {
		d.arrived += p.worth
	}
	d.waiting, d.points = nil, 0
}

// worth returns how much a delta point says, never less than 0: how often
// something was measured or, of a sum that only grows, by how much it grew.
func worth(in instrument, p point) float64 {
	switch {
	case !in.isDelta() || in.isSum() && !in.monotonic:
		return 0
	case in.isSum():
		return p.value
	default:
		return float64(p.count)
	}
}

// arrived returns how much came out of the queue.
func (r *reference) arrived() (sum float64) {
	for id, pieces := range r.taken() {
		for _, p := range pieces {
			sum += worth(id.instrument, p.point)
		}
	}
	return sum
}
