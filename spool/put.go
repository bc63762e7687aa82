package spool

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/otlp"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// A put is a call of Put. While it is in line it can leave; the keeper takes it
// out of the line and sends the result.
type put struct {
	rm     *metricdata.ResourceMetrics // read only, and until there is a result
	index  index
	frame  []byte
	result chan error // capacity 1: the sender never waits
}

// Put implements [queue.Queue]. It returns nil when the record is on the disk,
// so that nothing but the loss of the disk can lose it. Under [WithNoSync] the
// operating system has it, and so it is if the disk fails in the very last sync
// of a record: the Failed of the observer learns of that.
//
// An error means that nothing was queued. It is one of those of the interface,
// or says that OTLP cannot express the collection, or that it could not be
// written: the disk is full, for instance. The next Put may succeed.
func (q *Queue) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	defer q.announce()
	points := batch.Points(rm)
	if err := q.refusal(ctx); err != nil || points == 0 {
		return err
	}
	p, err := newPut(rm, points)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
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

// refusal returns why a call of Put cannot succeed.
func (q *Queue) refusal(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sealed {
		return queue.ErrClosed
	}
	return ctx.Err()
}

func newPut(rm *metricdata.ResourceMetrics, points int) (*put, error) {
	record, err := encode(rm)
	if err != nil {
		return nil, err
	}
	resource, err := hashResource(rm)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &put{
		rm: rm,
		index: index{
			points:   points,
			size:     int64(len(record)),
			oldest:   now,
			newest:   now,
			parts:    1,
			resource: resource,
		},
		frame:  record,
		result: make(chan error, 1),
	}, nil
}

// encode returns the record of a collection.
func encode(rm *metricdata.ResourceMetrics) ([]byte, error) {
	data, err := otlp.Append(nil, rm)
	if err != nil {
		return nil, err
	}
	return frame.Append(nil, data)
}

// decode returns the collection in a record.
func decode(record []byte) (*metricdata.ResourceMetrics, error) {
	data, err := frame.Decode(nil, record)
	if err != nil {
		return nil, err
	}
	rm, err := otlp.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", frame.ErrCorrupt, err)
	}
	return rm, nil
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
