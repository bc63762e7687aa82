package jetstream

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

var (
	// errRemade says that a message is of another stream of the same name than
	// the one that is known: somebody has deleted that, or it has lost what it had.
	errRemade = errors.New("the stream has been made again")

	// errBehind says that the consumer counts from an earlier number on: the server
	// that leads it does not know what the one before had done last.
	errBehind = errors.New("the consumer is behind")
)

// receive enters a message that the server gives to nobody else before lease.
func (r *reader) receive(msg *nats.Msg, lease time.Time) error {
	q := r.queue
	meta, err := msg.Metadata()
	if err != nil {
		q.fail(err)
		return nil
	}
	if meta.Sequence.Consumer <= r.delivered {
		return errBehind
	}
	pin := pinOf(msg)
	if isPinned(r.consumer) && (pin != r.pin || meta.Sequence.Consumer != r.delivered+1) {
		q.doubt(r.partition) // others had it, or something that was sent did not come
		r.checked = time.Time{}
	}
	r.pin, r.delivered = pin, meta.Sequence.Consumer
	e := &entry{
		queue: q, partition: r.partition, base: r.base, position: r.base + meta.Sequence.Stream,
		id: msg.Header.Get(nats.MsgIdHdr), from: originOf(msg), accepted: meta.Timestamp, timestamp: meta.Timestamp,
		reply: msg.Reply, lease: lease, data: msg.Data, size: len(msg.Data),
	}
	r.largest = max(r.largest, e.size)
	if known, err := q.renew(e); known || err != nil {
		return err
	}
	entered, err := q.enter(e)
	if err == nil && !entered {
		_ = q.dismiss(e)
	}
	return err
}

// headerPin is how the server calls the client to which a consumer is pinned.
const headerPin = "Nats-Pin-Id"

// pinOf returns the pin that the server has given to a message: its header is
// behind those of whoever published it.
func pinOf(msg *nats.Msg) string {
	pins := msg.Header.Values(headerPin)
	if len(pins) == 0 {
		return ""
	}
	return pins[len(pins)-1]
}

// doubt notes that others may have something of a partition.
func (q *Queue) doubt(partition int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ledger.doubt(partition)
}

// dismiss acknowledges a message that has ended before, and reports whether that
// was confirmed.
func (q *Queue) dismiss(e *entry) bool {
	if err := q.ack(e); err != nil {
		q.fail(fmt.Errorf("acknowledging the message at position %d, which has ended: %w", e.position, err))
		return false
	}
	q.confirm(e)
	return true
}

// renew notes that a message was received once more that is in hand, and reports
// whether it was.
func (q *Queue) renew(again *entry) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if again.base != q.ledger.base {
		return false, errRemade
	}
	q.ledger.parts[again.partition].silent = false
	e := q.ledger.known[again.position]
	switch {
	case e == nil || e.state == stored:
		return false, nil
	case !e.timestamp.Equal(again.timestamp):
		return false, errRemade
	}
	e.reply, e.lease = again.reply, again.lease
	return true, nil
}

// enter makes a message one that can be taken. It returns false if it has ended
// before.
func (q *Queue) enter(e *entry) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.ledger
	if e.base != l.base {
		return false, errRemade
	}
	if stored, ok := l.hasEnded(e.position); ok {
		if !stored.Equal(e.timestamp) {
			return false, errRemade
		}
		return false, nil
	}
	known := l.known[e.position]
	if known != nil {
		if known.id != e.id {
			return false, errRemade
		}
		known.receive(e)
		e = known
	} else if e.from.producer == q.publisher.id {
		if e.position < l.gone {
			return false, nil
		}
		q.claim(e)
	}
	l.hold(e)
	if l.parts[e.partition].clear {
		q.signal()
	}
	return true, nil
}

// claim makes a message that this Queue has put an own one, where Put does not
// know yet that it is stored. The caller holds the lock.
func (q *Queue) claim(e *entry) {
	e.points = e.from.points
	q.ledger.early[e.position] = struct{}{}
	q.ledger.last = max(q.ledger.last, e.position)
	q.ledger.enlist(e)
}

// receive takes over what came with a message that this Queue has put.
func (e *entry) receive(from *entry) {
	e.base, e.reply, e.lease, e.timestamp = from.base, from.reply, from.lease, from.timestamp
	e.data, e.size, e.from = from.data, from.size, from.from
}
