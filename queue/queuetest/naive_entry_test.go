package queuetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
)

// A naiveEntry is an entry of a naive queue.
type naiveEntry struct {
	queue      *naive
	resource   *resource.Resource
	position   uint64
	samples    []agedSample
	collection *metricdata.ResourceMetrics
}

// An agedSample knows the position of the newest data in it.
type agedSample struct {
	sample
	id  seriesID
	age uint64
}

func (q *naive) Take(context.Context, queue.Limit) (queue.Entry, error) {
	if len(q.waiting) == 0 {
		return nil, queue.ErrEmpty
	}
	i := 0
	if len(q.waiting) > 1 {
		switch q.fault {
		case swapsEntries:
			i = 1
		case swapsData:
			a, b := q.waiting[0], q.waiting[1]
			a.samples, b.samples, a.resource, b.resource = b.samples, a.samples, b.resource, a.resource
		}
	}
	e := q.waiting[i]
	e.collection = (&source{resource: e.resource}).piece(samplesOf(e.samples))
	q.inFlight = append(q.inFlight, e)
	if q.fault != handsOutTwice || q.stats.Last%8 != 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	} else {
		q.waiting[i] = &naiveEntry{queue: q, resource: e.resource, position: e.position, samples: e.samples}
		q.stats.Accepted += uint64(len(e.samples))
	}
	return e, nil
}

func samplesOf(aged []agedSample) []sample {
	samples := make([]sample, len(aged))
	for i, s := range aged {
		samples[i] = s.sample
	}
	return samples
}

func (e *naiveEntry) Collection() *metricdata.ResourceMetrics { return e.collection }
func (e *naiveEntry) Points() int                             { return batch.Points(e.collection) }
func (e *naiveEntry) Position() uint64                        { return e.position }
func (e *naiveEntry) Accepted() time.Time                     { return time.Unix(1, 0) }

func (e *naiveEntry) Settle(o queue.Outcome) error {
	e.queue.stats.Exported += uint64(o.Exported)
	e.queue.stats.Dropped += uint64(o.Dropped)
	return e.land()
}

func (e *naiveEntry) Return() error {
	q := e.queue
	at, _ := slices.BinarySearchFunc(q.waiting, e, func(a, b *naiveEntry) int { return cmp.Compare(a.position, b.position) })
	if q.fault == returnsToTheEnd {
		at = len(q.waiting)
	}
	q.waiting = slices.Insert(q.waiting, at, e)
	return e.land()
}

func (e *naiveEntry) land() error {
	before := len(e.queue.inFlight)
	e.queue.inFlight = slices.DeleteFunc(e.queue.inFlight, func(other *naiveEntry) bool { return other == e })
	if len(e.queue.inFlight) == before {
		return errors.New("the entry is not in flight")
	}
	return nil
}
