package queue

import (
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// entry is a collection in a Memory queue. While it waits, the queue's lock
// protects it, in flight it belongs to whoever took it. Its buffer is nil once
// it has ended.
type entry struct {
	queue          *Memory
	buffer         *batch.Buffer
	position       uint64
	parts          int       // of how many collections it is made
	largest        int       // points of the largest of them
	version        uint64    // changes with the data
	apart          uint64    // the version of the next entry, if joining the two saves nothing
	oldest, newest time.Time // when its oldest and newest part were accepted
}

func (e *entry) Collection() *metricdata.ResourceMetrics { return e.buffer.Collection() }
func (e *entry) Points() int                             { return e.buffer.Points() }
func (e *entry) Position() uint64                        { return e.position }
func (e *entry) Accepted() time.Time                     { return e.newest }

func (e *entry) Settle(o Outcome) error {
	m := e.queue
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.land(e, o); err != nil {
		return err
	}
	m.end(e, o)
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

// takeBack makes an entry in flight one that waits, or drops it after Close.
func (m *Memory) takeBack(e *entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.land(e, Outcome{Dropped: e.Points()}); err != nil {
		return err
	}
	at := 0
	for at < m.waiting.Len() && m.waiting.At(at).position < e.position {
		at++
	}
	m.waiting.Insert(at, e)
	if m.closed {
		m.dropWhile(func() bool { return true }, ReasonShutdown, ErrClosed)
	}
	m.signal()
	return nil
}

// land takes an entry out of what is in flight, if the outcome accounts for its
// points.
func (m *Memory) land(e *entry, o Outcome) error {
	i := slices.Index(m.inFlight, e)
	if i < 0 {
		return fmt.Errorf("queue: the collection at position %d has been settled or returned before", e.position)
	}
	if o.Exported < 0 || o.Dropped < 0 || o.Exported+o.Dropped != e.Points() {
		return fmt.Errorf("queue: %d exported and %d dropped data points do not make up the %d of the collection",
			o.Exported, o.Dropped, e.Points())
	}
	if i == 0 { // as it mostly is, of many
		m.inFlight[0] = nil
		m.inFlight = m.inFlight[1:]
	} else {
		m.inFlight = slices.Delete(m.inFlight, i, i+1)
	}
	m.stats.InFlight -= e.Points()
	return nil
}
