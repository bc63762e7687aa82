package queue

import (
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/coalesce"
)

// An entry is what was taken from a Memory queue. It belongs to the caller of
// Take.
type entry struct {
	queue *Memory
	piece *coalesce.Piece
	left  *coalesce.Departure // nil if there is none, or it has been noted
}

func (e *entry) Collection() *metricdata.ResourceMetrics { return e.piece.Data() }
func (e *entry) Points() int                             { return e.piece.Points() }
func (e *entry) Position() uint64                        { return e.piece.Position }
func (e *entry) Accepted() time.Time                     { return e.piece.Newest }

func (e *entry) Settle(o Outcome) error {
	m := e.queue
	m.lock()
	defer m.unlock()
	if o.Exported < 0 || o.Dropped < 0 || o.Exported+o.Dropped != e.Points() {
		return fmt.Errorf("queue: %d exported and %d dropped data points do not make up the %d of the collection",
			o.Exported, o.Dropped, e.Points())
	}
	if err := m.land(e); err != nil {
		return err
	}
	m.waiting.End(e.piece)
	m.end(e.piece, o)
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

// takeOff puts a piece that waits in flight. Mostly it is the newest there, but for
// those that have been returned.
func (m *Memory) takeOff(p *coalesce.Piece) *entry {
	e := &entry{queue: m, piece: p, left: m.waiting.Take(p)}
	i := len(m.inFlight)
	for i > 0 && m.inFlight[i-1].Position() > e.Position() {
		i--
	}
	m.inFlight = slices.Insert(m.inFlight, i, e)
	m.counters.InFlight += e.Points()
	return e
}

// land takes an entry out of what is in flight.
func (m *Memory) land(e *entry) error {
	i := slices.Index(m.inFlight, e)
	if i < 0 {
		return fmt.Errorf("queue: the collection at position %d has been settled or returned before", e.Position())
	}
	m.inFlight = slices.Delete(m.inFlight, i, i+1)
	m.counters.InFlight -= e.Points()
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
	m.waiting.Return(e.piece)
	if m.closed {
		m.dropWhile(func() bool { return true }, ReasonShutdown, ErrClosed)
	}
	m.wake = true
	return nil
}
