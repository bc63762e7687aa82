package queue

import (
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/coalesce"
)

// ahead says how much room there is before it is needed: one part of the bound in
// ahead. So a Put mostly finds room, and joining has memory for its results.
const ahead = 8

// A roomMaker makes room under Coalesce: on a goroutine that runs while there is
// something to do, beside the Puts and without the lock. The lock of the queue
// protects all fields but stop.
type roomMaker struct {
	working  bool
	done     chan struct{}   // closed when the goroutine ends
	reserved int             // bytes for the result of the step under way
	reads    *blockedPut     // the call whose collection that step may read, or nil
	retired  []*batch.Buffer // what has been released since that step began, which may still read it
	stop     atomic.Bool     // the queue is closed
}

// makeRoom starts making room if there is anything to do. The caller holds the
// lock.
func (m *Memory) makeRoom() {
	if m.room.working {
		return
	}
	if step := m.nextStep(); step != nil {
		m.room.working = true
		m.room.done = make(chan struct{})
		go m.work(step)
	}
}

func (m *Memory) work(step coalesce.Step) {
	for step != nil {
		step.Run((*buffers)(m))
		step = m.commit(step)
	}
}

// commit ends a step and returns the next one, or nil.
func (m *Memory) commit(step coalesce.Step) coalesce.Step {
	m.lock()
	defer m.unlock()
	r := &m.room
	reader := r.reads
	r.reserved, r.reads = 0, nil
	left := reader != nil && reader.incoming.Left
	m.account(step.Commit(), reader)
	if left {
		m.released = append(m.released, reader) // its end has waited for this
	}
	next := m.nextStep()
	retired := r.retired
	r.retired = nil
	if r.working = next != nil; !r.working {
		close(r.done)
	}
	for _, b := range retired {
		m.recycle(b)
	}
	return next
}

// account counts what a step did, for a call that waits for room or for none.
func (m *Memory) account(e coalesce.Effect, b *blockedPut) {
	m.counters.Coalesced += uint64(e.Joined)
	m.counters.Dropped += uint64(e.Dropped)
	m.counters.Queued -= e.Joined + e.Dropped
	m.counters.Exemplars += uint64(e.Exemplars)
	if e.Dropped > 0 {
		m.notices.Dropped(Drop{Points: e.Dropped, Reason: ReasonOverflow, Err: ErrFull, Position: e.Position})
	}
	if e.Admitted {
		m.endBlocked(b, nil)
	}
}

// nextStep returns the next step to make room, or nil if there is nothing to do. It
// puts in what there is room for.
func (m *Memory) nextStep() coalesce.Step {
	if m.overflow != Coalesce || m.closed {
		return nil
	}
	m.admit()
	reader := m.blocked.Oldest()
	step := m.stepFor(reader)
	if step != nil {
		m.room.reads = reader
		m.room.reserved = min(step.Bytes(), max(0, m.freeBytes()))
	}
	return step
}

func (m *Memory) stepFor(b *blockedPut) coalesce.Step {
	points, bytes := m.maxPoints/ahead, m.maxBytes/ahead
	var incoming *coalesce.Incoming
	if b != nil {
		points, bytes, incoming = b.size.points, m.need(b.size), b.incoming
	}
	if bytes > m.freeBytes() {
		if step := m.waiting.Bare(); step != nil {
			return step
		}
	}
	if m.hasRoom(points, bytes) {
		return nil
	}
	return m.waiting.Step(incoming)
}

func (m *Memory) incoming(rm *metricdata.ResourceMetrics, s size) *coalesce.Incoming {
	return &coalesce.Incoming{
		Data: rm, Points: s.points, Sets: s.sets,
		Fits: func(points, bytes int) bool {
			return m.hasRoom(points, m.need(size{points: points, bytes: bytes}))
		},
		Accept: func() (uint64, time.Time) { return m.accept(s.points) },
	}
}

// buffers implement [coalesce.Buffers] with the free list. The methods take the
// lock.
type buffers Memory

func (b *buffers) Get(bytes int) *batch.Buffer {
	m := (*Memory)(b)
	m.lock()
	defer m.unlock()
	buffer, _ := m.free.get(bytes)
	return buffer
}

func (b *buffers) Put(buffer *batch.Buffer) {
	m := (*Memory)(b)
	m.lock()
	defer m.unlock()
	m.recycle(buffer)
}

func (b *buffers) Stopped() bool { return b.room.stop.Load() }
