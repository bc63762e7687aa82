package queue

import (
	"context"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/coalesce"
	"github.com/asyncmetric/asyncmetric/internal/ring"
)

// A blockedPut is a call of Put that waits for room. A call that makes room, or
// seals the queue, takes it out of the line and sends its result; a call whose
// context ends takes itself out.
type blockedPut struct {
	rm       *metricdata.ResourceMetrics // read only until it has a result
	size     size
	incoming *coalesce.Incoming // under Coalesce
	line     ring.Node[blockedPut]
	err      error      // set when it is out of line
	result   chan error // capacity 1: the sender never waits
}

// block puts a call at the end of the line. The caller holds the lock.
func (m *Memory) block(rm *metricdata.ResourceMetrics, s size) *blockedPut {
	b := &blockedPut{rm: rm, size: s, result: make(chan error, 1)}
	if m.overflow == Coalesce {
		b.incoming = m.incoming(rm, s)
	}
	m.blocked.Push(&b.line, b)
	return b
}

// await returns when b is done or ctx has ended, whichever is first. The
// caller does not hold the lock.
func (m *Memory) await(ctx context.Context, b *blockedPut) error {
	limit := ctx
	if m.overflow == Coalesce {
		var cancel context.CancelFunc
		limit, cancel = WithGrace(ctx)
		defer cancel()
	}
	select {
	case err := <-b.result:
		return err
	case <-limit.Done():
	}
	m.leave(b, ctx.Err())
	return <-b.result
}

// leave takes b out of the line, with an error, if it is still there.
func (m *Memory) leave(b *blockedPut, err error) {
	m.lock()
	defer m.unlock()
	if b.line.In() {
		m.endBlocked(b, err)
		m.admit() // b may have been the one that did not fit
	}
}

// admit puts in what blocked calls brought, first come first served, until the
// first of them does not fit. The caller holds the lock and has made room.
func (m *Memory) admit() {
	for b := m.blocked.Oldest(); b != nil && m.fits(b.size); b = m.blocked.Oldest() {
		m.push(b.rm, b.size)
		m.endBlocked(b, nil)
	}
}

// refuseBlocked ends all blocked calls. The caller holds the lock.
func (m *Memory) refuseBlocked() {
	for b := range m.blocked.All() {
		m.endBlocked(b, ErrClosed)
	}
}

// endBlocked takes a blocked call out of the line. It returns when unlock has
// published what was done for it, and no step reads what it brought.
func (m *Memory) endBlocked(b *blockedPut, err error) {
	b.line.Remove()
	b.err = err
	if b.incoming != nil {
		b.incoming.Left = true
	}
	if m.room.reads != b {
		m.released = append(m.released, b)
	}
}
