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
// lock is held for as long as copying or joining takes, and never while
// anything waits or a function of the observer runs. Stats does not need it.
type Memory struct {
	maxPoints int
	overflow  Overflow
	ready     chan struct{} // capacity 1

	mu        sync.Mutex // taken by lock, released by unlock; protects what follows
	waiting   ring[*entry]
	inFlight  []*entry // in the order of their positions
	blocked   ring[*blockedPut]
	notices   Notices
	free      freeList
	counters  Stats // without Oldest and First
	sealed    bool
	closed    bool
	coalescer coalescer // under Coalesce

	// What unlock does when all has been done: see there.
	released []*blockedPut
	wake     bool

	published published
}

// published is what Stats returns: the state at the end of the latest critical
// section. Its lock is held for no longer than it takes to copy it. Lock order: mu
// of the Memory, then this one.
type published struct {
	mu    sync.Mutex
	stats Stats
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
		coalescer: coalescer{target: 1},
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
	m.lock()
	defer m.unlock()
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
	if m.notices.Tell((*locker)(m)) {
		m.signal()
	}
}

// A locker is the lock of a Memory.
type locker Memory

func (l *locker) Lock()   { (*Memory)(l).lock() }
func (l *locker) Unlock() { (*Memory)(l).unlock() }

func (m *Memory) lock() { m.mu.Lock() }

// unlock ends a critical section: it publishes the new state, and only then
// wakes those who look at it.
func (m *Memory) unlock() {
	m.free.trim(m.maxPoints - m.waitingPoints())
	m.publish()
	for _, b := range m.released {
		b.result <- b.err
	}
	clear(m.released)
	m.released = m.released[:0]
	if m.wake {
		m.wake = false
		m.signal()
	}
	m.mu.Unlock()
}

func (m *Memory) publish() {
	s := m.counters
	if e := m.oldest(); e != nil {
		s.Oldest, s.First = e.oldest, e.position
	}
	s.First = m.notices.First(s.First)
	m.published.mu.Lock()
	defer m.published.mu.Unlock()
	m.published.stats = s
}

// oldest returns the entry with the lowest position that has not ended.
func (m *Memory) oldest() (e *entry) {
	if m.waiting.Len() > 0 {
		e = m.waiting.At(0)
	}
	if len(m.inFlight) > 0 && (e == nil || m.inFlight[0].position < e.position) {
		e = m.inFlight[0]
	}
	return e
}

func (m *Memory) signal() {
	select {
	case m.ready <- struct{}{}:
	default: // the signal that is there already says the same
	}
}

// Ready implements [Queue].
func (m *Memory) Ready() <-chan struct{} { return m.ready }

// Info implements [Queue]. What is in memory does not outlive it.
func (m *Memory) Info() Info { return Info{MaxPoints: m.maxPoints, Overflow: m.overflow} }

// Stats implements [Queue].
func (m *Memory) Stats() Stats {
	m.published.mu.Lock()
	defer m.published.mu.Unlock()
	return m.published.stats
}

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

	m.lock()
	defer m.unlock()
	if m.sealed {
		return false, nil, ErrClosed
	}
	m.free.tick(points)
	if points == 0 {
		return false, nil, nil
	}
	if m.overflow == Coalesce && m.coalesce(rm, points) {
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

// fits reports whether a collection with the given number of points may wait
// now.
func (m *Memory) fits(points int) bool {
	return m.waiting.Len() == 0 || m.waitingPoints()+points <= m.maxPoints
}

func (m *Memory) waitingPoints() int { return m.counters.Queued - m.counters.InFlight }

// push adds a copy of rm to what waits.
func (m *Memory) push(rm *metricdata.ResourceMetrics, points int) {
	buffer := m.copy(rm, points)
	now := time.Now()
	m.counters.Last++
	m.waiting.Push(&entry{
		queue:    m,
		buffer:   buffer,
		points:   points,
		position: m.counters.Last,
		parts:    1,
		largest:  points,
		version:  m.coalescer.nextVersion(),
		oldest:   now,
		newest:   now,
	})
	m.counters.Accepted += uint64(points)
	m.counters.Queued += points
	m.counters.Collections++
	m.wake = true
}

// copy returns a copy of rm in a buffer of the free list. Free buffers make room
// for it where they have to, and one that turns out to be much too large is not
// used: what waits shall not take more memory than it needs.
func (m *Memory) copy(rm *metricdata.ResourceMetrics, points int) *batch.Buffer {
	buffer, used := m.free.get(points)
	m.free.trim(m.maxPoints - m.waitingPoints() - points)
	batch.Copy(buffer, rm)
	m.free.filled(buffer)
	if used && wasteful(buffer) {
		buffer = new(batch.Buffer)
		batch.Copy(buffer, rm)
	}
	return buffer
}

// pop removes the oldest entry from what waits.
func (m *Memory) pop() *entry {
	e, _ := m.waiting.Pop()
	m.coalescer.popped()
	return e
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
		e := m.pop()
		if drop.Points == 0 {
			drop.Position = e.position
		}
		drop.Points += e.points
		m.end(e, Outcome{Dropped: e.points})
	}
	if drop.Points == 0 {
		return false
	}
	m.notices.Dropped(drop)
	return true
}

// end accounts for the end of an entry and frees its memory.
func (m *Memory) end(e *entry, o Outcome) {
	m.counters.Exported += uint64(o.Exported)
	m.counters.Dropped += uint64(o.Dropped)
	m.counters.Queued -= e.points
	m.counters.Collections--
	m.release(e)
}

// release frees the memory of an entry that has no use for it any more.
func (m *Memory) release(e *entry) {
	if !m.closed {
		m.free.put(e.buffer)
	}
	e.buffer = nil
}

// Take implements [Queue]. It never waits.
func (m *Memory) Take(_ context.Context, limit Limit) (Entry, error) {
	m.lock()
	defer m.unlock()
	switch {
	case m.waiting.Len() == 0 && m.sealed:
		return nil, ErrClosed
	case m.waiting.Len() == 0:
		return nil, ErrEmpty
	}
	if next := m.waiting.At(0); !limit.Admits(next.Collection(), next.points) {
		return nil, ErrDeclined
	}
	e := m.pop()
	m.takeOff(e)
	m.admit()
	return e, nil
}

// Seal implements [Queue].
func (m *Memory) Seal() {
	m.lock()
	defer m.unlock()
	m.sealed = true
	m.refuseBlocked()
	m.wake = true
}

// Close implements [Queue]. It drops what waits.
func (m *Memory) Close() error {
	if tell := m.close(); tell((*locker)(m)) {
		m.signal()
	}
	return nil
}

// close returns what tells the observer of what it dropped.
func (m *Memory) close() (tell func(sync.Locker) bool) {
	m.lock()
	defer m.unlock()
	m.sealed, m.closed = true, true
	m.refuseBlocked()
	m.dropWhile(func() bool { return true }, ReasonShutdown, ErrClosed)
	m.free = freeList{}
	m.wake = true
	return m.notices.Claim()
}
