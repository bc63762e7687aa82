package queue

import (
	"context"
	"slices"
)

// A barrier is a call of Wait. Whoever ends the last entry in front of it
// removes it and closes passed.
type barrier struct {
	position uint64
	passed   chan struct{}
}

// Wait implements [Queue].
func (m *Memory) Wait(ctx context.Context, position uint64) error {
	b := m.raiseBarrier(position)
	if b == nil {
		return nil
	}
	select {
	case <-b.passed:
		return nil
	case <-ctx.Done():
	}
	if m.lowerBarrier(b) {
		return ctx.Err()
	}
	return nil // it was passed in the meantime
}

// raiseBarrier returns nil if there is nothing to wait for.
func (m *Memory) raiseBarrier(position uint64) *barrier {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.oldest(); e == nil || e.position > position {
		return nil
	}
	b := &barrier{position: position, passed: make(chan struct{})}
	m.barriers = append(m.barriers, b)
	return b
}

// lowerBarrier removes b and reports whether it was still there.
func (m *Memory) lowerBarrier(b *barrier) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.barriers)
	m.barriers = slices.DeleteFunc(m.barriers, func(other *barrier) bool { return other == b })
	return len(m.barriers) < before
}

// passBarriers removes the barriers that nothing in front of them holds up.
// The caller holds the lock and has ended an entry.
func (m *Memory) passBarriers() {
	if len(m.barriers) == 0 {
		return
	}
	e := m.oldest()
	m.barriers = slices.DeleteFunc(m.barriers, func(b *barrier) bool {
		passed := e == nil || e.position > b.position
		if passed {
			close(b.passed)
		}
		return passed
	})
}
