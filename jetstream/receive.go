package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// errRemade says that a message is of another stream of the same name than the
// one that is known, which somebody has deleted.
var errRemade = errors.New("the stream has been made again")

// receive enters a message that the server gives to nobody else before lease.
// Its error is errRemade.
func (r *reader) receive(ctx context.Context, msg *nats.Msg, lease time.Time) error {
	q := r.queue
	meta, err := msg.Metadata()
	if err != nil {
		q.fail(err)
		return nil
	}
	if meta.Sequence.Consumer <= r.delivered {
		return errRemade
	}
	r.delivered = meta.Sequence.Consumer
	if pin := msg.Header.Get(headerPin); pin != r.pin {
		r.pin = pin
		q.mu.Lock()
		q.ledger.doubt(r.partition)
		q.mu.Unlock()
	}
	e := &entry{
		queue: q, partition: r.partition, base: r.base, position: r.base + meta.Sequence.Stream, from: originOf(msg),
		accepted: meta.Timestamp, timestamp: meta.Timestamp, reply: msg.Reply, lease: lease,
	}
	if known, err := q.renew(e); known || err != nil {
		return err
	}
	if e.collection, err = frame.DecodeCollection(msg.Data, maxData); err != nil {
		r.setAside(ctx, e, msg, err)
		return nil
	}
	e.points = batch.Points(e.collection)
	r.largest = max(r.largest, e.points)
	entered, err := q.enter(e)
	if err == nil && !entered {
		q.dismiss(e)
	}
	return err
}

// headerPin is how the server calls the client to which a consumer is pinned.
const headerPin = "Nats-Pin-Id"

// dismiss acknowledges a message that has ended before.
func (q *Queue) dismiss(e *entry) {
	if err := q.ack(e.reply); err != nil {
		q.fail(fmt.Errorf("acknowledging the message at position %d, which has ended: %w", e.position, err))
		return
	}
	q.acked(e)
}

// acked forgets that an end may not have been acknowledged.
func (q *Queue) acked(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.base == q.ledger.base {
		delete(q.ledger.unacked, e.position)
	}
}

// renew notes that a message was received once more that is in hand, and reports
// whether it was.
func (q *Queue) renew(again *entry) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if again.base != q.ledger.base {
		return false, errRemade
	}
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
// before, or has no data points.
func (q *Queue) enter(e *entry) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.ledger
	if e.base != l.base {
		return false, errRemade
	}
	if stored, ok := l.unacked[e.position]; ok {
		if !stored.Equal(e.timestamp) {
			return false, errRemade
		}
		return false, nil
	}
	mine := e.from.producer == q.publisher.id
	switch known := l.known[e.position]; {
	case known != nil && !mine:
		return false, errRemade
	case known != nil:
		known.receive(e)
		e = known
	case e.points == 0 || mine && e.position < l.gone:
		return false, nil
	case mine:
		e.own = true
		l.early[e.position] = struct{}{}
		l.last = max(l.last, e.position)
		l.enlist(e)
	}
	l.hold(e)
	if l.parts[e.partition].clear {
		q.signal()
	}
	return true, nil
}

// receive takes over what came with a message that this Queue has put.
func (e *entry) receive(from *entry) {
	e.base, e.reply, e.lease, e.collection = from.base, from.reply, from.lease, from.collection
	e.timestamp, e.from = from.timestamp, from.from
}
