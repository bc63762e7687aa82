package jetstream

import (
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/queue"
)

// An entry is a message that this Queue has put, or has received, or both.
// The lock of the queue protects it, but for what whoever took it may call.
type entry struct {
	queue     *Queue
	position  uint64
	partition int
	points    int
	accepted  time.Time
	counted   bool   // it is in the line of the ledger
	id        string // of the message
	state     state

	// Of what has been received.
	base       uint64    // of the stream that it came from; it must not be acknowledged in another one
	reply      string    // of the latest delivery: where to acknowledge it
	lease      time.Time // until then the server gives it to nobody else
	timestamp  time.Time // when the server stored it
	from       origin
	data       []byte // until it is decoded, which happens when it is next
	size       int    // of data
	collection *metricdata.ResourceMetrics
	reason     error // why it cannot be read
	returned   bool  // it is held since Return gave it back: nobody else had it since it was taken
}

var _ queue.Entry = (*entry)(nil)

// A state says where an entry is.
type state uint8

const (
	stored   state = iota // in the stream, put by this Queue
	held                  // received, can be taken
	inFlight              // whoever took it has it
	rejected              // received, and nothing that can be delivered
	ended
)

// Collection implements [queue.Entry].
func (e *entry) Collection() *metricdata.ResourceMetrics { return e.collection }

// Points implements [queue.Entry].
func (e *entry) Points() int { return e.points }

// Position implements [queue.Entry]. It is the sequence number of the message,
// unless the stream has been made anew meanwhile.
func (e *entry) Position() uint64 { return e.position }

// Accepted implements [queue.Entry]. For what another process has put it is
// when the server stored it.
func (e *entry) Accepted() time.Time { return e.accepted }

// Settle implements [queue.Entry]. It returns when the server has confirmed
// the acknowledgement. Where it does not in time, the entry has ended in this
// process; if the message comes again it is acknowledged then, unless another
// relay gets it, which delivers it once more.
func (e *entry) Settle(o queue.Outcome) error { return e.queue.settle(e, o) }

// Return implements [queue.Entry]. The entry is the next of its partition that
// Take hands out. If its time is over, the server may have given it to another
// relay; it is then in the stream. After Close it is given back to the stream.
func (e *entry) Return() error { return e.queue.takeBack(e) }
