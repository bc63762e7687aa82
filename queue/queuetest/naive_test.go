package queuetest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/queue"
)

// A naive queue coalesces as simply as can be: where there is no room, all that
// waits of a resource becomes one entry, and the points that are oldest then go.
// It shows that all claims can be kept together. With a fault it shows that
// each is tested. It serves one goroutine.
type naive struct {
	fault    string
	bound    int
	waiting  []*naiveEntry
	inFlight []*naiveEntry
	stats    queue.Stats
	ready    chan struct{}
}

func newNaive(bound int, fault string) *naive {
	return &naive{fault: fault, bound: bound, ready: make(chan struct{}, 1)}
}

func (q *naive) Start(queue.Observer) error { return nil }
func (q *naive) Ready() <-chan struct{}     { return q.ready }
func (q *naive) Info() queue.Info           { return queue.Info{MaxPoints: q.bound, Overflow: queue.Coalesce} }
func (q *naive) Seal()                      {}
func (q *naive) Close() error               { return nil }

func (q *naive) Put(_ context.Context, rm *metricdata.ResourceMetrics) error {
	q.stats.Last++
	e := &naiveEntry{queue: q, resource: rm.Resource, position: q.stats.Last}
	eachPoint(rm, func(id seriesID, p point) {
		e.samples = append(e.samples, agedSample{sample{id.instrument, p}, id, e.position})
	})
	q.stats.Accepted += uint64(len(e.samples))
	q.waiting = append(q.waiting, e)
	q.squeeze()
	return nil
}

func (q *naive) points() (n int) {
	for _, e := range q.waiting {
		n += len(e.samples)
	}
	return n
}

func (q *naive) over() bool {
	bound := q.bound
	if q.fault == exceedsTheBound {
		bound++
	}
	return len(q.waiting) > 1 && q.points() > bound
}

// squeeze makes room.
func (q *naive) squeeze() {
	for i := 0; i < len(q.waiting) && q.over() && q.fault != doesNotJoin; i++ {
		for j := i + 1; j < len(q.waiting); {
			if older, newer := q.waiting[i], q.waiting[j]; !q.mayJoin(older, newer) {
				j++
				continue
			}
			q.join(i, j)
		}
	}
	for q.over() {
		q.drop()
	}
}

func (q *naive) mayJoin(older, newer *naiveEntry) bool {
	if !older.resource.Equal(newer.resource) && q.fault != joinsResources {
		return false
	}
	return !slices.ContainsFunc(q.inFlight, func(e *naiveEntry) bool {
		return older.position < e.position && e.position < newer.position
	})
}

func (q *naive) join(i, j int) {
	older, newer := q.waiting[i], q.waiting[j]
	before := len(older.samples) + len(newer.samples)
	older.samples = q.joinSamples(older.samples, newer.samples)
	q.waiting = slices.Delete(q.waiting, j, j+1)
	if q.fault == losesAPoint && len(older.samples) > 1 {
		older.samples = older.samples[1:]
	}
	if q.fault == namesTheNewestPosition {
		older.position = newer.position
	}
	saved := before - len(older.samples)
	if q.fault == countsJoinsAsDrops {
		q.stats.Dropped += uint64(saved)
	} else if q.fault != doesNotCountJoins {
		q.stats.Coalesced += uint64(saved)
	}
}

// joinSamples joins the last older sample of each series with the first newer
// one, where it may.
func (q *naive) joinSamples(older, newer []agedSample) []agedSample {
	older, newer = slices.Clone(older), slices.Clone(newer)
	seen := map[seriesID]bool{}
	for j := range newer {
		id := newer[j].id
		if q.fault == confusesTwins {
			id = id.sameStream()
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		for i := len(older) - 1; i >= 0; i-- {
			if older[i].id != id && (q.fault != confusesTwins || older[i].id.sameStream() != id) {
				continue
			}
			if p, ok := q.joinPoints(newer[j].instrument, older[i].point, newer[j].point); ok {
				newer[j].point = p
				older = slices.Delete(older, i, i+1)
			}
			break
		}
	}
	return append(older, newer...)
}

// joinPoints returns a point that stands for both.
func (q *naive) joinPoints(in instrument, older, newer point) (point, bool) {
	scale := min(older.scale, newer.scale)
	if q.fault != mixesScales {
		older.amount, newer.amount = older.lowered(scale), newer.lowered(scale)
	}
	sameStart := older.start.Equal(newer.start) || q.fault == joinsAcrossResets
	switch {
	case in.isDelta():
		if newer.time.Before(older.time) || newer.start.Before(older.start) {
			return point{}, false
		}
		newer.amount = newer.plus(older.amount, 1)
		newer.scale = scale
		if q.fault != forgetsTheStart {
			newer.start = older.start
		}
		return newer, true
	case !in.grows():
		if q.fault == keepsTheFirstValue {
			newer.amount = older.amount
		}
		return newer, true
	default:
		if q.fault == addsCumulative {
			newer.amount = newer.plus(older.amount, 1)
		}
		return newer, sameStart && (q.fault == joinsAcrossFalls || !newer.fellFrom(older.amount, in))
	}
}

// drop drops the oldest point.
func (q *naive) drop() {
	oldest := slices.MinFunc(q.waiting, func(a, b *naiveEntry) int { return cmp.Compare(a.age(), b.age()) })
	if q.fault == dropsWholeEntries {
		q.stats.Dropped += uint64(len(oldest.samples))
		oldest.samples = nil
	} else {
		age := oldest.age()
		i := slices.IndexFunc(oldest.samples, func(s agedSample) bool { return s.age == age })
		if q.fault == dropsTheNewest {
			i = len(oldest.samples) - 1
		}
		oldest.samples = slices.Delete(oldest.samples, i, i+1)
		q.stats.Dropped++
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(e *naiveEntry) bool { return len(e.samples) == 0 })
}

// age is that of the oldest sample.
func (e *naiveEntry) age() uint64 {
	return slices.MinFunc(e.samples, func(a, b agedSample) int { return cmp.Compare(a.age, b.age) }).age
}

func (q *naive) Stats() queue.Stats {
	s := q.stats
	for _, e := range q.inFlight {
		s.InFlight += len(e.samples)
	}
	s.Queued = s.InFlight + q.points()
	s.Collections = len(q.inFlight) + len(q.waiting)
	if s.Queued > 0 {
		s.Oldest = time.Unix(1, 0)
	}
	for _, e := range slices.Concat(q.inFlight, q.waiting) {
		if s.First == 0 || e.position < s.First || q.fault == passesTooEarly {
			s.First = e.position
		}
	}
	return s
}
