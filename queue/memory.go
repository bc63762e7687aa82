package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// Memory is a [Queue] in memory, bounded in data points.
//
// A Put is one critical section, its copy included. That makes acceptance,
// order, overflow and every counter one decision, and lets Take put in what a
// blocked call brought, on that call's behalf: a blocked Put is either done or
// not, so no wake-up can be lost and nothing granted has to be given back. The
// lock is held for as long as copying or evicting takes, and never while
// anything waits or a function of the observer runs.
type Memory struct {
	maxPoints int
	overflow  Overflow
	ready     chan struct{} // capacity 1

	mu       sync.Mutex
	waiting  *Ring[*entry]
	inFlight []*entry // in the order of their positions
	blocked  *Ring[*blockedPut]
	notices  Notices
	spare    spareBuffers
	last     uint64 // the position of the newest collection
	stats    Stats  // but for Oldest
	sealed   bool
	closed   bool

	coarsening coarsening // under Coalesce
}

var _ Queue = (*Memory)(nil)

// NewMemory returns an empty queue in which at most maxPoints data points
// wait, at least 1; entries in flight come on top. It allocates for what is
// queued, not for the bound.
func NewMemory(maxPoints int, overflow Overflow) (*Memory, error) {
	if maxPoints < 1 {
		return nil, fmt.Errorf("queue: bound of %d data points: must be at least 1", maxPoints)
	}
	if !overflow.Valid() {
		return nil, fmt.Errorf("queue: unknown overflow policy %v", overflow)
	}
	return &Memory{
		maxPoints: maxPoints,
		overflow:  overflow,
		ready:     make(chan struct{}, 1),
		waiting:   NewRing[*entry](0), // bounded by the points in it
		blocked:   NewRing[*blockedPut](0),

		coarsening: coarsening{target: 1},
	}, nil
}

// Start implements [Queue].
func (m *Memory) Start(o Observer) error {
	if err := m.start(o); err != nil {
		return err
	}
	m.tell()
	return nil
}

func (m *Memory) start(o Observer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.notices.Started():
		return ErrInUse
	case m.closed:
		return ErrClosed
	}
	m.notices.Start(o)
	return nil
}

// tell tells the observer what it has not heard yet. The caller does not hold
// the lock.
func (m *Memory) tell() {
	if m.notices.Tell(&m.mu) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.signal()
	}
}

// Ready implements [Queue].
func (m *Memory) Ready() <-chan struct{} { return m.ready }

// Info implements [Queue]. What is in memory does not outlive it.
func (m *Memory) Info() Info { return Info{MaxPoints: m.maxPoints, Overflow: m.overflow} }

// Put implements [Queue].
func (m *Memory) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	dropped, blocked, err := m.put(ctx, rm)
	if dropped {
		m.tell()
	}
	if blocked != nil {
		return m.await(ctx, blocked)
	}
	return err
}

// put does all of Put that needs the lock. It reports whether it dropped
// anything, and returns the call to wait for if it has to.
func (m *Memory) put(
	ctx context.Context, rm *metricdata.ResourceMetrics,
) (dropped bool, blocked *blockedPut, err error) {
	points := batch.Points(rm)

	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sealed {
		return false, nil, ErrClosed
	}
	if points == 0 {
		return false, nil, nil
	}
	if m.overflow == Coalesce && m.takeUp(rm, points) {
		return false, nil, nil
	}
	if !m.fits(points) || m.blocked.Len() > 0 {
		switch m.overflow {
		case Block:
			if err := ctx.Err(); err != nil {
				return false, nil, err
			}
			return false, m.block(rm, points), nil
		case DropNewest:
			return false, nil, ErrFull
		case DropOldest, Coalesce:
			dropped = m.evict(points)
		}
	}
	m.push(rm, points)
	return dropped, nil, nil
}

// fits reports whether a collection of so many points may wait now.
func (m *Memory) fits(points int) bool {
	return m.waiting.Len() == 0 || m.waitingPoints()+points <= m.maxPoints
}

func (m *Memory) waitingPoints() int { return m.stats.Queued - m.stats.InFlight }

// push adds a copy of rm to what waits.
func (m *Memory) push(rm *metricdata.ResourceMetrics, points int) {
	buffer := m.spare.get(points)
	batch.Copy(buffer, rm)
	now := time.Now()
	m.last++
	m.waiting.Push(&entry{
		queue:    m,
		buffer:   buffer,
		position: m.last,
		parts:    1,
		largest:  points,
		version:  m.coarsening.nextVersion(),
		oldest:   now,
		newest:   now,
	})
	m.stats.Accepted += uint64(points)
	m.stats.Queued += points
	m.stats.Collections++
	m.signal()
}

// pop removes the oldest entry from what waits.
func (m *Memory) pop() (e *entry, ok bool) {
	e, ok = m.waiting.Pop()
	if ok {
		m.coarsening.popped()
	}
	return e, ok
}

// evict drops the oldest collections that wait until there is room for the
// given number of points, and reports whether it dropped any.
func (m *Memory) evict(points int) bool {
	return m.dropWhile(func() bool { return !m.fits(points) }, ReasonOverflow, ErrFull)
}

// dropWhile drops the oldest collections that wait while more is true, and
// reports whether it dropped any.
func (m *Memory) dropWhile(more func() bool, reason DropReason, err error) bool {
	drop := Drop{Reason: reason, Err: err}
	for m.waiting.Len() > 0 && more() {
		e, _ := m.pop()
		if drop.Points == 0 {
			drop.Position = e.position
		}
		drop.Points += e.Points()
		m.end(e, Outcome{Dropped: e.Points()})
	}
	if drop.Points == 0 {
		return false
	}
	m.notices.Dropped(drop)
	return true
}

// end accounts for the end of an entry and reuses its memory.
func (m *Memory) end(e *entry, o Outcome) {
	m.stats.Exported += uint64(o.Exported)
	m.stats.Dropped += uint64(o.Dropped)
	m.stats.Queued -= e.Points()
	m.stats.Collections--
	m.spare.put(e.buffer)
	e.buffer = nil
}

func (m *Memory) signal() {
	select {
	case m.ready <- struct{}{}:
	default: // the signal that is there already says the same
	}
}

// Take implements [Queue]. It never waits.
func (m *Memory) Take(_ context.Context, limit Limit) (Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.waiting.Len() == 0 && m.sealed:
		return nil, ErrClosed
	case m.waiting.Len() == 0:
		return nil, ErrEmpty
	}
	if next := m.waiting.At(0); !limit.Admits(next.Collection(), next.Points()) {
		return nil, ErrDeclined
	}
	e, _ := m.pop()
	m.stats.InFlight += e.Points()
	m.coarsening.delivered = true
	m.inFlight = append(m.inFlight, e)
	m.admit()
	return e, nil
}

// Stats implements [Queue].
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Last = m.last
	if e := m.oldest(); e != nil {
		s.Oldest, s.First = e.oldest, e.position
	}
	s.First = m.notices.First(s.First)
	return s
}

// oldest returns the entry with the lowest position that has not ended.
func (m *Memory) oldest() *entry {
	switch {
	case len(m.inFlight) > 0:
		return m.inFlight[0]
	case m.waiting.Len() > 0:
		return m.waiting.At(0)
	default:
		return nil
	}
}

// Seal implements [Queue].
func (m *Memory) Seal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sealed = true
	m.refuseBlocked()
	m.signal()
}

// Close implements [Queue]. It drops what waits.
func (m *Memory) Close() error {
	m.close()
	m.tell()
	return nil
}

func (m *Memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sealed, m.closed = true, true
	m.refuseBlocked()
	m.dropWhile(func() bool { return true }, ReasonShutdown, ErrClosed)
	m.spare = spareBuffers{}
	m.signal()
}
