package queue

import (
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// An entry is a collection in a Memory queue. While it waits, the queue's lock
// protects it; in flight it belongs to the caller of Take. Its buffer is nil
// once it has ended.
type entry struct {
	queue          *Memory
	buffer         *batch.Buffer
	points         int // in buffer
	position       uint64
	parts          int       // of how many collections it is made
	largest        int       // points of the largest of them
	version        uint64    // changes with the data
	unjoinable     uint64    // the version of the next entry, if joining the two saves nothing
	oldest, newest time.Time // when its oldest and newest part were accepted
}

func (e *entry) Collection() *metricdata.ResourceMetrics { return e.buffer.Collection() }
func (e *entry) Points() int                             { return e.points }
func (e *entry) Position() uint64                        { return e.position }
func (e *entry) Accepted() time.Time                     { return e.newest }

func (e *entry) Settle(o Outcome) error {
	m := e.queue
	m.lock()
	defer m.unlock()
	if o.Exported < 0 || o.Dropped < 0 || o.Exported+o.Dropped != e.points {
		return fmt.Errorf("queue: %d exported and %d dropped data points do not make up the %d of the collection",
			o.Exported, o.Dropped, e.points)
	}
	if err := m.land(e); err != nil {
		return err
	}
	m.end(e, o)
	m.coalescer.delivered = true
	return nil
}

func (e *entry) Return() error {
	m := e.queue
	if err := m.takeBack(e); err != nil {
		return err
	}
	m.tell()
	return nil
}

// takeOff makes an entry that waited one in flight. Mostly it is the newest
// there, but for those that have been returned.
func (m *Memory) takeOff(e *entry) {
	i := len(m.inFlight)
	for i > 0 && m.inFlight[i-1].position > e.position {
		i--
	}
	m.inFlight = slices.Insert(m.inFlight, i, e)
	m.counters.InFlight += e.points
}

// land takes an entry out of what is in flight.
func (m *Memory) land(e *entry) error {
	i := slices.Index(m.inFlight, e)
	if i < 0 {
		return fmt.Errorf("queue: the collection at position %d has been settled or returned before", e.position)
	}
	m.inFlight = slices.Delete(m.inFlight, i, i+1)
	m.counters.InFlight -= e.points
	return nil
}

// takeBack makes an entry in flight one that waits, or drops it after Close.
// The next Take hands out another entry, since this one has ended.
func (m *Memory) takeBack(e *entry) error {
	m.lock()
	defer m.unlock()
	if err := m.land(e); err != nil {
		return err
	}
	again := *e
	e.buffer = nil
	at := 0
	for at < m.waiting.Len() && m.waiting.At(at).position < again.position {
		at++
	}
	m.waiting.Insert(at, &again)
	m.coalescer.inserted(at)
	if m.closed {
		m.dropWhile(func() bool { return true }, ReasonShutdown, ErrClosed)
	}
	m.wake = true
	return nil
}
