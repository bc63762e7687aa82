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

// A put is a call of Put. While it is in line it can leave; the keeper takes it
// out of the line and sends the result.
type put struct {
	index  index
	frame  []byte
	unfit  error      // why some of the metrics were left out, or nil
	result chan error // capacity 1: the sender never waits
}

// Put implements [queue.Queue]. It returns nil when the record is on the disk,
// so that nothing but the loss of the disk can lose it. Under [WithNoSync] the
// operating system has it.
//
// An error means that nothing was queued. It is one of those of the interface,
// or says that OTLP cannot express the collection, or that it could not be
// written: the disk is full, for instance. The next Put may succeed. There is
// one exception: if the disk fails in the very last of the syncs, and in one
// more that is tried then, the collection is queued and the error says that it
// may not survive a loss of power.
//
// Metrics that OTLP cannot express, of which [otlp.Append] says what they are,
// are left out of a collection and dropped, with [queue.ReasonPermanent].
func (q *Queue) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	defer q.tell()
	points := batch.Points(rm)
	if err := q.refusal(ctx); err != nil || points == 0 {
		return err
	}
	p, err := newPut(rm)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	err = q.await(ctx, p)
	counted := err == nil || errors.Is(err, queue.ErrFull) || errors.Is(err, errUnsynced)
	if left := points - p.index.points; left > 0 && counted {
		q.refuse(queue.Drop{Points: left, Reason: queue.ReasonPermanent, Err: fmt.Errorf("spool: %w", p.unfit)})
	}
	return err
}

// await puts p in line and waits for its result.
func (q *Queue) await(ctx context.Context, p *put) error {
	if !q.enter(p) {
		return queue.ErrClosed
	}
	select {
	case err := <-p.result:
		return err
	case <-ctx.Done():
	}
	if q.withdraw(p) {
		return ctx.Err()
	}
	return <-p.result // it has begun, and will not take long
}

// refuse counts what was accepted and dropped at once.
func (q *Queue) refuse(d queue.Drop) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ledger.refuse(d.Points)
	q.noteDrop(d)
}

// refusal returns why a call of Put cannot succeed.
func (q *Queue) refusal(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sealed {
		return queue.ErrClosed
	}
	return ctx.Err()
}

// newPut encodes a collection, or what OTLP can express of it.
func newPut(rm *metricdata.ResourceMetrics) (*put, error) {
	record, unfit := frame.EncodeCollection(rm, frame.MaxSize)
	if unfit != nil {
		var err error
		if rm, record, err = encodeRest(rm); err != nil {
			return nil, err
		}
	}
	resource, err := hashResource(rm)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &put{
		index: index{
			points:   batch.Points(rm),
			size:     int64(len(record)),
			oldest:   now,
			newest:   now,
			parts:    1,
			resource: resource,
		},
		frame:  record,
		unfit:  unfit,
		result: make(chan error, 1),
	}, nil
}

// enter puts p at the end of the line.
func (q *Queue) enter(p *put) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sealed {
		return false
	}
	q.line = append(q.line, p)
	q.nudge()
	return true
}

// withdraw takes p out of the line and reports whether it was still there.
func (q *Queue) withdraw(p *put) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.line, p)
	if i < 0 {
		return false
	}
	q.line = slices.Delete(q.line, i, i+1)
	q.full = false
	q.nudge() // p may have been the one that did not fit
	return true
}
