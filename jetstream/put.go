package jetstream

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
)

// Put implements [queue.Queue]. It returns nil when the stream has acknowledged
// the collection, and waits for that, and for a server that answers, as long as
// ctx allows.
//
// An error means that nothing was queued, as far as is known: if the
// acknowledgement was lost, or if a large collection was split and only the
// first parts were stored, it, or they, will be delivered. Another Put of the
// same collection does not store it again. Under [queue.DropNewest] a full
// stream is [queue.ErrFull]; the points that were not stored count as dropped.
//
// Metrics that OTLP cannot express, and data points that do not fit into a
// message, are left out of a collection and dropped, with
// [queue.ReasonPermanent]; a collection of which nothing is left is refused.
func (q *Queue) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	defer q.announce()
	if err := q.beginPut(ctx); err != nil {
		return err
	}
	defer q.endPut()
	if batch.Points(rm) == 0 {
		return nil
	}
	p, err := q.publisher.pack(ctx, rm)
	if err != nil {
		return err
	}
	if len(p.records) == 0 {
		return q.config.inStream(p.unfitErr)
	}
	left := batch.Points(rm) - p.unfit
	err = q.publisher.send(ctx, p, func(r record, a ack) {
		left -= r.points
		if !a.again {
			q.stored(r, a)
		}
	})
	if isFull(err) {
		q.refuse(left, queue.ReasonOverflow, queue.ErrFull)
	}
	if err == nil || isFull(err) {
		q.refuse(p.unfit, queue.ReasonPermanent, p.unfitErr)
	}
	if !q.config.publishOnly {
		q.reconcile(ctx, q.isDiscarding)
	}
	return err
}

// beginPut and endPut are around a Put: what begins before Seal, Take waits
// for.
func (q *Queue) beginPut(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.sealed:
		return queue.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	q.putting++
	return nil
}

// maxEarly is how many messages are remembered whose Put has failed though they
// were stored: if it is repeated they must not be counted twice.
const maxEarly = 1 << 10

func (q *Queue) endPut() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.putting--
	if q.putting == 0 && len(q.ledger.early) > maxEarly {
		clear(q.ledger.early)
	}
	if q.sealed {
		q.signal()
	}
}

// stored counts a record that the stream has acknowledged. The lane is the
// caller's.
func (q *Queue) stored(r record, a ack) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ledger := &q.ledger
	position := ledger.base + a.sequence
	if known := ledger.known[position]; known != nil && known.id != a.id {
		q.forget(q.created) // the stream has lost what was there
		position = ledger.base + a.sequence
	}
	ledger.last = max(ledger.last, position)
	if q.config.publishOnly {
		ledger.stats.Accepted += uint64(r.points)
		ledger.stats.Exported += uint64(r.points)
		return
	}
	if _, ok := ledger.early[position]; ok || ledger.known[position] != nil {
		delete(ledger.early, position)
		return
	}
	e := &entry{
		queue: q, position: position, id: a.id, partition: a.partition, points: r.points, accepted: time.Now(), own: true,
	}
	ledger.known[position] = e
	ledger.enlist(e)
}

// refuse counts and tells of points that were put, and dropped.
func (q *Queue) refuse(points int, reason queue.DropReason, err error) {
	if points == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ledger.refuse(points)
	q.noteDrop(points, reason, err)
}
