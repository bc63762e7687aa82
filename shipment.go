package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
)

// A shipment is what has to end before anything else is delivered: one
// collection, or with merging several that fit into one batch. The delivery
// goroutine makes and ends it, in between the senders share it. Its memory is
// used for the next one.
type shipment struct {
	entries  []queue.Entry // in order
	points   int
	position uint64 // of the first entry

	inTurn bool          // one sender sends the loads one after the other
	worked chan struct{} // closed when no sender works on it any more

	mu       sync.Mutex
	working  int // how many senders do
	loads    []load
	begun    int // how many loads a sender has taken
	exported int
	dropped  int
	drops    []Drop
}

// A load is what goes out in one call: a part of the collection of a shipment,
// or all of its collections. It belongs to the sender that took it.
type load struct {
	part   batch.Part
	merged []queue.Entry // if any, these instead of the part
	newest time.Time     // when the collection of the part was accepted
}

func (l *load) points() int {
	points := l.part.Points()
	for _, entry := range l.merged {
		points += entry.Points()
	}
	return points
}

// copy returns the data in a buffer.
func (l *load) copy(b *batch.Buffer) *metricdata.ResourceMetrics {
	if l.merged == nil {
		return l.part.Copy(b)
	}
	collections := make([]*metricdata.ResourceMetrics, len(l.merged))
	for i, entry := range l.merged {
		collections[i] = entry.Collection()
	}
	return batch.Merge(b, collections...)
}

// expire removes what was accepted before a time, and returns how many data
// points that were.
func (l *load) expire(before time.Time) (points int) {
	if l.newest.Before(before) {
		points = l.part.Points()
		l.part = batch.Part{}
	}
	for len(l.merged) > 0 && l.merged[0].Accepted().Before(before) {
		points += l.merged[0].Points()
		l.merged = l.merged[1:]
	}
	return points
}

// gather makes a shipment of an entry and, with merging, of those behind it
// that fit.
func (d *delivery) gather(first queue.Entry) *shipment {
	s := &d.shipment
	s.position = first.Position()
	d.add(s, first)
	if d.config.merging {
		d.gatherMore(s)
	}
	if len(s.entries) > 1 {
		s.loads = append(s.loads, load{merged: s.entries})
		return s
	}
	for part := range batch.Split(first.Collection(), d.config.maxExportBatchSize) {
		s.loads = append(s.loads, load{part: part, newest: first.Accepted()})
	}
	return s
}

func (d *delivery) add(s *shipment, entry queue.Entry) {
	s.entries = append(s.entries, entry)
	s.points += entry.Points()
}

// gatherMore adds entries until the batch is full, or until the linger is over
// or a flush waits for the shipment. An error of the queue is left to whoever
// takes next.
func (d *delivery) gatherMore(s *shipment) {
	fits := func(rm *metricdata.ResourceMetrics) bool {
		return s.points+batch.Points(rm) <= d.config.maxExportBatchSize &&
			batch.SameResource(s.entries[0].Collection(), rm)
	}
	over := time.Now().Add(d.config.linger)
	for s.points < d.config.maxExportBatchSize {
		next := d.flushes.untilNext()
		linger := d.config.linger > 0 && d.flushes.newest(s.position) == 0
		// What is in hand must not wait for a slow disk, either.
		ctx, cancel := context.WithDeadline(next, later(over, time.Now().Add(takeTimeout)))
		entry, err := d.queue.Take(ctx, fits)
		cancel()
		switch left := time.Until(over); {
		case err == nil:
			d.add(s, entry)
		case !errors.Is(err, queue.ErrEmpty) || !linger || left <= 0:
			return
		default:
			timer := time.NewTimer(left)
			d.idle(next, timer.C)
			timer.Stop()
		}
	}
}

// takeTimeout is how long taking one more entry for a batch may take where
// nothing lingers.
const takeTimeout = 100 * time.Millisecond

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// leave tells that a sender works on the shipment no more.
func (s *shipment) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working--
	if s.working == 0 {
		close(s.worked)
	}
}

// next hands out a load, nil if there is none left.
func (s *shipment) next() *load {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun == len(s.loads) {
		return nil
	}
	s.begun++
	return &s.loads[s.begun-1]
}

// export accounts for points that have been exported.
func (s *shipment) export(points int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exported += points
}

// drop accounts for points that will not be. Those that are too old are told
// of as one.
func (s *shipment) drop(drop Drop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped += drop.Points
	for i := range s.drops {
		if drop.Reason == queue.ReasonAge && s.drops[i].Reason == queue.ReasonAge {
			s.drops[i].Points += drop.Points
			return
		}
	}
	s.drops = append(s.drops, drop)
}

// takeDropped returns how many points were dropped. From now on the queue counts
// what has ended.
func (s *shipment) takeDropped() (dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dropped = s.dropped
	s.exported, s.dropped = 0, 0
	return dropped
}

// done returns how many points have ended that the queue still counts.
func (s *shipment) done() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exported + s.dropped
}

// end settles the entries of a shipment, then tells of what was dropped, so
// that whoever is told finds it counted.
func (d *delivery) end(s *shipment) {
	defer s.reset()
	if left := s.points - s.done(); left > 0 {
		if d.queue.Durable() {
			return // the next process delivers what has not been settled
		}
		s.drop(d.lost(left))
	}
	d.telemetry.delivered(s)
	d.settle(s)
	for _, drop := range s.drops {
		d.drops.announce(drop)
	}
}

// lost is the drop of points for which nothing more can be done.
func (d *delivery) lost(points int) Drop {
	if err := context.Cause(d.ctx); err != nil {
		return Drop{Points: points, Reason: queue.ReasonShutdown, Err: err}
	}
	return Drop{Points: points, Reason: queue.ReasonPermanent, Err: errGoexit}
}

// reset empties the shipment, and keeps nothing of it alive.
func (s *shipment) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries, s.loads, s.drops = emptied(s.entries), emptied(s.loads), emptied(s.drops)
	s.points, s.begun, s.exported, s.dropped = 0, 0, 0, 0
}

// emptied returns list without elements, and without memory if that is much.
func emptied[T any](list []T) []T {
	const most = 1 << 10
	if cap(list) > most {
		return nil
	}
	clear(list)
	return list[:0]
}

// settle divides what was dropped of a shipment among its entries, the oldest
// first: of several, those are what was too old.
func (d *delivery) settle(s *shipment) {
	left := s.takeDropped()
	for _, entry := range s.entries {
		points := entry.Points()
		dropped := min(left, points)
		left -= dropped
		if err := entry.Settle(points-dropped, dropped); err != nil {
			d.report(fmt.Errorf("asyncmetric: settling a collection: %w", err))
		}
	}
}
