package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// errBegun is wrapped by the error of a call of Put whose context ended after
// the writer had begun with it.
var errBegun = errors.New("the collection was handed to the disk, and may still be queued")

// A putOp is a call of Put. While it is in line it can leave; the writer takes it
// out of the line and sends the result.
type putOp struct {
	index  index
	frame  []byte
	ended  error      // that of the context on entry: the call does not wait for room then
	left   int        // data points that were left out
	unfit  error      // why they were, or nil
	result chan error // capacity 1: the sender never waits

	abandoned bool // the call has returned errBegun, protected by the lock of the queue
}

// Put implements [queue.Queue]. It returns nil when the record is on the disk,
// so that nothing but the loss of the disk can lose it. Under [WithNoSync] the
// operating system has it.
//
// An error means that nothing was queued. It is one of those of the interface,
// or says that OTLP cannot express the collection, or that it could not be
// written: the disk is full, for instance. The next Put may succeed. There are
// two exceptions. If ctx ends while the collection is being written, the error
// wraps that of ctx and says that the collection may still be queued: it is, and
// counts as accepted, if the disk then succeeds. If the disk fails in the very
// last of the syncs, and in one more that is tried then, the collection is queued
// and the error says that it may not survive a loss of power.
//
// Metrics that OTLP cannot express, of which [otlp.Append] says what they are,
// are left out of a collection and dropped, with [queue.ReasonPermanent].
func (q *Queue) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	defer q.tell()
	if q.isSealed() {
		return queue.ErrClosed
	}
	if batch.Points(rm) == 0 {
		return nil
	}
	p, err := newPut(rm)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return q.await(ctx, p)
}

// await puts p in line and waits for its result.
func (q *Queue) await(ctx context.Context, p *putOp) error {
	p.ended = ctx.Err()
	waiting, cancel := queue.WithGrace(ctx)
	defer cancel()
	if err := q.enter(p); err != nil {
		return err
	}
	select {
	case err := <-p.result:
		return err
	case <-waiting.Done():
		return q.leave(p, ctx.Err())
	}
}

func (q *Queue) isSealed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sealed
}

// newPut encodes a collection, or what OTLP can express of it.
func newPut(rm *metricdata.ResourceMetrics) (*putOp, error) {
	points, left := batch.Points(rm), 0
	record, unfit := frame.EncodeCollection(rm, frame.MaxSize)
	if unfit != nil {
		var err error
		if rm, record, err = encodeRest(rm); err != nil {
			return nil, err
		}
		left = points - batch.Points(rm)
	}
	resource, err := hashResource(rm)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &putOp{
		index: index{
			points:   points - left,
			size:     int64(len(record)),
			oldest:   now,
			newest:   now,
			parts:    1,
			resource: resource,
		},
		frame:  record,
		left:   left,
		unfit:  unfit,
		result: make(chan error, 1),
	}, nil
}

// enter puts p at the end of the line, unless it would have to wait there for
// room and does not.
func (q *Queue) enter(p *putOp) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.sealed:
		return queue.ErrClosed
	case q.full && p.ended != nil:
		return p.ended
	}
	q.line = append(q.line, p)
	q.nudge()
	return nil
}

// leave ends a call of Put whose context has ended, and returns its error.
func (q *Queue) leave(p *putOp, ended error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.line, p); i >= 0 {
		q.line = slices.Delete(q.line, i, i+1)
		q.full = false
		q.nudge() // p may have been the one that did not fit
		return ended
	}
	select {
	case err := <-p.result:
		return err
	default:
	}
	p.abandoned = true
	return q.inFolder(fmt.Errorf("%w: %w", errBegun, ended))
}
