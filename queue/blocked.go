package queue

import (
	"context"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A blockedPut is a call of Put that waits for room. A call that makes room, or
// seals the queue, takes it out of the line and sends its result; a call whose
// context ends takes itself out.
type blockedPut struct {
	rm     *metricdata.ResourceMetrics // read only while in line, under the lock
	points int
	err    error      // set when it is out of line
	result chan error // capacity 1: the sender never waits
}

// block puts a call at the end of the line. The caller holds the lock.
func (m *Memory) block(rm *metricdata.ResourceMetrics, points int) *blockedPut {
	b := &blockedPut{rm: rm, points: points, result: make(chan error, 1)}
	m.blocked.Push(b)
	return b
}

// await returns when b is done or ctx has ended, whichever is first. The
// caller does not hold the lock.
func (m *Memory) await(ctx context.Context, b *blockedPut) error {
	select {
	case err := <-b.result:
		return err
	case <-ctx.Done():
	}
	if m.leave(b) {
		return ctx.Err()
	}
	return <-b.result // it was done in the meantime
}

// leave takes b out of the line and reports whether it was still there.
func (m *Memory) leave(b *blockedPut) bool {
	m.lock()
	defer m.unlock()
	for i := range m.blocked.Len() {
		if m.blocked.At(i) == b {
			m.blocked.Remove(i)
			m.admit() // b may have been the one that did not fit
			return true
		}
	}
	return false
}

// admit puts in what blocked calls brought, first come first served, until the
// first of them does not fit. The caller holds the lock and has made room.
func (m *Memory) admit() {
	for m.blocked.Len() > 0 && m.fits(m.blocked.At(0).points) {
		b := m.blocked.At(0)
		m.push(b.rm, b.points)
		m.endBlocked(nil)
	}
}

// refuseBlocked ends all blocked calls. The caller holds the lock.
func (m *Memory) refuseBlocked() {
	for m.blocked.Len() > 0 {
		m.endBlocked(ErrClosed)
	}
}

// endBlocked takes the first blocked call out of the line. It returns when unlock
// has published what was done for it.
func (m *Memory) endBlocked(err error) {
	b, _ := m.blocked.Pop()
	b.rm, b.err = nil, err
	m.released = append(m.released, b)
}
