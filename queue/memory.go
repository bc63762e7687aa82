package queue

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/coalesce"
	"github.com/asyncmetric/asyncmetric/internal/ring"
)

// Memory is a [Queue] in memory, bounded in bytes and in data points.
//
// A Put is one critical section, its copy included. That makes acceptance,
// order, overflow and every counter one decision, and lets others put in what a
// blocked call brought, on that call's behalf: a blocked Put is either done or
// not, so no wake-up can be lost and nothing granted has to be given back. The
// lock is held for as long as copying takes, and never while anything waits, is
// joined, or a function of the observer runs. Stats does not need it.
type Memory struct {
	bound     Bound // with its defaults, as Info tells it
	maxPoints int   // math.MaxInt where the bound has none
	maxBytes  int
	overflow  Overflow
	ready     chan struct{} // capacity 1

	mu       sync.Mutex // taken by lock, released by unlock; protects what follows
	waiting  coalesce.Backlog
	inFlight []*entry // in the order of their positions
	blocked  ring.Ring[blockedPut]
	notices  Notices
	free     freeList
	sets     batch.SetMeter
	counters Stats // without what publish adds
	sealed   bool
	closed   bool
	room     roomMaker // under Coalesce

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

// NewMemory returns an empty queue in which at most as much waits as bound
// says; entries in flight come on top. It allocates for what is queued, not for
// the bound. It returns an error that names a field of the bound that is
// negative, or an overflow policy that it does not know.
func NewMemory(bound Bound, overflow Overflow) (*Memory, error) {
	bound, err := bound.withDefaults()
	if err != nil {
		return nil, err
	}
	if !overflow.Valid() {
		return nil, fmt.Errorf("queue: unknown overflow policy %v", overflow)
	}
	maxPoints := bound.Points
	if maxPoints == 0 {
		maxPoints = math.MaxInt
	}
	m := &Memory{
		bound:     bound,
		maxPoints: maxPoints,
		maxBytes:  int(min(bound.Bytes, math.MaxInt)),
		overflow:  overflow,
		ready:     make(chan struct{}, 1),
	}
	m.waiting.Free, m.waiting.Room = m.release, m.freeBytes
	return m, nil
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
	m.free.trim(m.freeBytes())
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

// freeBytes returns how many bytes are neither in use nor reserved. It is below 0
// where a single collection is larger than the bound.
func (m *Memory) freeBytes() int { return m.maxBytes - m.claimed() - m.room.reserved }

// claimed returns how many bytes what waits may come to keep alive.
func (m *Memory) claimed() int {
	if m.overflow == Coalesce {
		return m.waiting.Claim()
	}
	return m.waiting.Bytes()
}

func (m *Memory) publish() {
	s := m.counters
	s.Collections = m.waiting.Len() + len(m.inFlight)
	s.Bytes = int64(m.waiting.Bytes() + m.free.bytes)
	s.First, s.Oldest = m.waiting.First()
	if len(m.inFlight) > 0 {
		if e := m.inFlight[0]; s.First == 0 || e.Position() < s.First {
			s.First = e.Position()
		}
	}
	for _, e := range m.inFlight {
		if s.Oldest.IsZero() || e.piece.Oldest.Before(s.Oldest) {
			s.Oldest = e.piece.Oldest
		}
	}
	s.First = m.notices.First(s.First)
	m.published.mu.Lock()
	defer m.published.mu.Unlock()
	m.published.stats = s
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
func (m *Memory) Info() Info {
	return Info{MaxPoints: m.bound.Points, MaxBytes: m.bound.Bytes, CountsBytes: true, Overflow: m.overflow}
}

// Stats implements [Queue].
func (m *Memory) Stats() Stats {
	m.published.mu.Lock()
	defer m.published.mu.Unlock()
	return m.published.stats
}

// Put implements [Queue]. Under [Coalesce] it may wait while others are joined to
// make room for it; it drops what is oldest if nothing can be joined any more.
func (m *Memory) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	dropped, blocked, err := m.put(ctx, rm)
	if blocked != nil {
		err = m.await(ctx, blocked)
		dropped = m.overflow == Coalesce // perhaps, to make room for it
	}
	if dropped {
		m.tell()
	}
	return err
}

// put does all of Put that needs the lock. It reports whether it dropped
// anything, and returns the call to wait for if it has to.
func (m *Memory) put(
	ctx context.Context, rm *metricdata.ResourceMetrics,
) (dropped bool, blocked *blockedPut, err error) {
	size := sizeOf(rm)

	m.lock()
	defer m.unlock()
	if m.sealed {
		return false, nil, ErrClosed
	}
	m.free.tick(size.points)
	if size.points == 0 {
		return false, nil, nil
	}
	size.sets = m.sets.Unshared(rm)
	if !m.fits(size) || m.blocked.Len() > 0 {
		switch m.overflow {
		case Block:
			if err := ctx.Err(); err != nil {
				return false, nil, err
			}
			return false, m.block(rm, size), nil
		case Coalesce:
			blocked := m.block(rm, size)
			m.makeRoom()
			return false, blocked, nil
		case DropNewest:
			return false, nil, ErrFull
		case DropOldest:
			dropped = m.dropWhile(func() bool { return !m.fits(size) }, ReasonOverflow, ErrFull)
		}
	}
	m.push(rm, size)
	m.makeRoom()
	return dropped, nil, nil
}

// A size is how much a collection takes.
type size struct {
	points int
	bytes  int // at most, of a copy
	sets   int // bytes of the attribute sets that it keeps alive
}

func sizeOf(rm *metricdata.ResourceMetrics) size {
	return size{points: batch.Points(rm), bytes: batch.Bytes(rm)}
}

// fits reports whether a collection may wait now.
func (m *Memory) fits(s size) bool {
	return m.waiting.Len() == 0 || m.hasRoom(s.points, m.need(s))
}

// need returns how many bytes a collection comes to take.
func (m *Memory) need(s size) int {
	if m.overflow == Coalesce {
		return s.bytes + s.sets + coalesce.ClaimPerPoint*s.points
	}
	return s.bytes + s.sets
}

// hasRoom reports whether so much may wait besides what does.
func (m *Memory) hasRoom(points, bytes int) bool {
	return m.waiting.Points()+points <= m.maxPoints && bytes <= m.freeBytes()
}

// push adds a copy of rm to what waits.
func (m *Memory) push(rm *metricdata.ResourceMetrics, s size) {
	position, now := m.accept(s.points)
	m.waiting.Push(&coalesce.Piece{
		Buffer: m.copy(rm, s.bytes), Sets: s.sets, Position: position, Changed: position, Oldest: now, Newest: now,
	})
}

// accept counts a collection, and returns its position and the time.
func (m *Memory) accept(points int) (position uint64, now time.Time) {
	m.counters.Last++
	m.counters.Accepted += uint64(points)
	m.counters.Queued += points
	m.wake = true
	return m.counters.Last, time.Now()
}

// copy returns a copy of rm, which takes the given number of bytes, in a buffer of
// the free list. Free buffers make room for it where they have to, and one that
// turns out to be much too large is not used: what waits shall not take more
// memory than it needs.
func (m *Memory) copy(rm *metricdata.ResourceMetrics, bytes int) *batch.Buffer {
	buffer, used := m.free.get(bytes)
	m.free.trim(m.freeBytes() - bytes)
	batch.Copy(buffer, rm)
	m.free.filled(buffer)
	if used && buffer.Bytes() > bytes {
		buffer = new(batch.Buffer)
		batch.Copy(buffer, rm)
	}
	return buffer
}

// dropWhile drops the oldest collections that wait while more is true, and
// reports whether it dropped any.
func (m *Memory) dropWhile(more func() bool, reason DropReason, err error) bool {
	drop := Drop{Reason: reason, Err: err}
	for m.waiting.Len() > 0 && more() {
		p := m.waiting.Next()
		m.waiting.Drop(p)
		if drop.Points == 0 {
			drop.Position = p.Position
		}
		drop.Points += p.Points()
		m.end(p, Outcome{Dropped: p.Points()})
	}
	if drop.Points == 0 {
		return false
	}
	m.notices.Dropped(drop)
	return true
}

// end accounts for the end of a piece that has left, and frees its memory.
func (m *Memory) end(p *coalesce.Piece, o Outcome) {
	m.counters.Exported += uint64(o.Exported)
	m.counters.Dropped += uint64(o.Dropped)
	m.counters.Queued -= p.Points()
	m.release(p.Buffer)
}

// release frees a buffer that nothing refers to any more, unless a step may still
// read it.
func (m *Memory) release(b *batch.Buffer) {
	if m.room.working {
		m.room.retired = append(m.room.retired, b)
	} else {
		m.recycle(b)
	}
}

// recycle keeps a buffer for reuse.
func (m *Memory) recycle(b *batch.Buffer) {
	if !m.closed {
		m.free.put(b)
	}
}

// Take implements [Queue]. It never waits.
func (m *Memory) Take(_ context.Context, limit Limit) (Entry, error) {
	e, err := m.take(limit)
	if err != nil {
		return nil, err
	}
	if e.left != nil {
		e.left.Prepare()
		m.lock()
		defer m.unlock()
		m.waiting.Forget(e.left)
		e.left = nil
	}
	return e, nil
}

func (m *Memory) take(limit Limit) (*entry, error) {
	m.lock()
	defer m.unlock()
	next := m.waiting.Next()
	switch {
	case next == nil && m.sealed:
		return nil, ErrClosed
	case next == nil:
		return nil, ErrEmpty
	case !limit.Admits(next.Data(), next.Points()):
		return nil, ErrDeclined
	}
	e := m.takeOff(next)
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
	tell, worker := m.close()
	if tell((*locker)(m)) {
		m.signal()
	}
	if worker != nil {
		<-worker
	}
	return nil
}

// close returns what tells the observer of what it dropped, and what ends with the
// goroutine that makes room, if there is one.
func (m *Memory) close() (tell func(sync.Locker) bool, worker <-chan struct{}) {
	m.lock()
	defer m.unlock()
	m.sealed, m.closed = true, true
	m.room.stop.Store(true)
	m.refuseBlocked()
	m.dropWhile(func() bool { return true }, ReasonShutdown, ErrClosed)
	m.free = freeList{}
	m.wake = true
	if m.room.working {
		worker = m.room.done
	}
	return m.notices.Claim(), worker
}
