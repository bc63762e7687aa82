package jetstream

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// receive enters a message that the server gives to nobody else before lease.
func (r *reader) receive(ctx context.Context, msg *nats.Msg, lease time.Time) {
	q := r.queue
	meta, err := msg.Metadata()
	if err != nil {
		q.fail(err)
		return
	}
	if pin := msg.Header.Get("Nats-Pin-Id"); pin != r.pin {
		r.pin = pin
		q.mu.Lock()
		q.ledger.doubt(r.partition)
		q.mu.Unlock()
	}
	seq := meta.Sequence.Stream
	if q.renew(seq, msg, lease) {
		return
	}
	rm, err := frame.DecodeCollection(msg.Data)
	if err != nil {
		r.setAside(ctx, seq, msg, err)
		return
	}
	e := &entry{
		queue: q, partition: r.partition, points: batch.Points(rm), accepted: meta.Timestamp,
		reply: msg.Reply, lease: lease, collection: rm,
	}
	e.producer, e.before = origin(msg)
	if e.points == 0 || !q.enter(e, seq) {
		r.dismiss(msg)
	}
}

// origin returns what a message says of where it comes from.
func origin(msg *nats.Msg) (producer string, before uint64) {
	producer, _, _ = strings.Cut(msg.Header.Get(nats.MsgIdHdr), ".")
	number, _, ok := strings.Cut(msg.Header.Get(header), " ")
	before, err := strconv.ParseUint(number, 10, 63)
	if !ok || err != nil {
		return "", 0
	}
	return producer, before
}

// dismiss acknowledges a message that has ended before.
func (r *reader) dismiss(msg *nats.Msg) {
	if err := r.queue.ack(msg.Reply); err != nil {
		r.queue.fail(fmt.Errorf("acknowledging a message that has ended: %w", err))
	}
}

// renew notes that a message was received once more that is in hand.
func (q *Queue) renew(seq uint64, msg *nats.Msg, lease time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.ledger.known[q.ledger.base+seq]
	if e == nil || e.state == stored {
		return false
	}
	e.reply, e.lease = msg.Reply, lease
	return true
}

// enter makes a message one that can be taken. It returns false if it has ended
// before.
func (q *Queue) enter(e *entry, seq uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.ledger
	e.base, e.position = l.base, l.base+seq
	mine := e.producer == q.publisher.id
	if _, ok := l.unacked[e.position]; ok {
		delete(l.unacked, e.position)
		return false
	}
	switch known := l.known[e.position]; {
	case known != nil:
		known.receive(e)
		e = known
	case mine && e.position < l.gone:
		return false
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
	return true
}

// receive takes over what came with a message that this Queue has put.
func (e *entry) receive(from *entry) {
	e.base, e.reply, e.lease, e.collection = from.base, from.reply, from.lease, from.collection
	e.producer, e.before = from.producer, from.before
}
