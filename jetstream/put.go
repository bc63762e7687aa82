package jetstream

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
)

// Put implements [queue.Queue]. It returns nil when the stream has acknowledged
// the collection, and waits for that, and for a server that answers, as long as
// ctx allows; [queue.Grace] if that has ended on entry.
//
// An error means that nothing was queued, as far as is known. If the
// acknowledgement was lost, the stream may have the collection: the error says
// so, the collection counts when it is received, and another Put of the same
// collection does not store it again. Under [queue.DropNewest] the error of a full
// stream wraps [queue.ErrFull].
//
// A large collection is stored in parts. If that fails after the first part, Put
// has accepted the collection: it returns nil, and what was not stored is
// dropped, with [queue.ReasonOverflow] where the stream is full,
// [queue.ReasonElapsed] where ctx ended, [queue.ReasonShutdown] after Seal, or
// else [queue.ReasonPermanent].
//
// Metrics that OTLP cannot express, and data points that do not fit into a
// message, are left out of a collection and dropped, with
// [queue.ReasonPermanent]; a collection of which nothing is left is refused.
func (q *Queue) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	defer q.tell()
	if err := q.beginPut(); err != nil {
		return err
	}
	defer q.endPut()
	points := batch.Points(rm)
	if points == 0 {
		return nil
	}
	ctx, cancel := queue.WithGrace(ctx)
	defer cancel()
	p, err := q.publisher.pack(ctx, rm)
	if err != nil {
		return err
	}
	if len(p.records) == 0 {
		return q.config.inStream(p.unfitErr)
	}
	first, left := uint64(0), points-p.unfit
	err = q.publisher.send(ctx, p, func(r record, a ack) {
		position := q.stored(r, a)
		if first == 0 {
			first = position
		}
		left -= r.points
	})
	if !q.config.publishOnly {
		q.reconcile(ctx, q.isDiscarding)
	}
	if first == 0 {
		return err
	}
	q.leaveOut(queue.Drop{Position: first, Points: left, Reason: reasonOf(ctx, err), Err: err})
	q.leaveOut(queue.Drop{Position: first, Points: p.unfit, Reason: queue.ReasonPermanent, Err: q.config.inStream(p.unfitErr)})
	return nil
}

// reasonOf returns why the rest of a collection was not stored.
func reasonOf(ctx context.Context, err error) queue.DropReason {
	switch {
	case errors.Is(err, queue.ErrFull):
		return queue.ReasonOverflow
	case errors.Is(err, queue.ErrClosed):
		return queue.ReasonShutdown
	case ctx.Err() != nil:
		return queue.ReasonElapsed
	default:
		return queue.ReasonPermanent
	}
}

// leaveOut counts the points of a collection that were not stored, if there are
// any.
func (q *Queue) leaveOut(d queue.Drop) {
	if d.Points == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuse(d)
}

// beginPut and endPut are around a Put: what begins before Seal, Take waits
// for.
func (q *Queue) beginPut() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sealed {
		return queue.ErrClosed
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

// stored counts a record that the stream has acknowledged, and returns its
// position. The lane is the caller's.
func (q *Queue) stored(r record, a ack) (position uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ledger := &q.ledger
	position = ledger.base + a.sequence
	if known := ledger.known[position]; known != nil && known.id != a.id {
		q.forget(q.created) // the stream has lost what was there
		position = ledger.base + a.sequence
	}
	ledger.last = max(ledger.last, position)
	if q.config.publishOnly {
		ledger.stats.Accepted += uint64(r.points)
		ledger.stats.Exported += uint64(r.points)
		return position
	}
	if _, ok := ledger.early[position]; ok || ledger.known[position] != nil {
		delete(ledger.early, position)
		return position
	}
	e := &entry{
		queue: q, position: position, id: a.id, partition: a.partition, points: r.points, accepted: time.Now(),
	}
	ledger.known[position] = e
	ledger.enlist(e)
	return position
}
