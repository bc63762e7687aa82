package jetstream

import (
	"context"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/asyncmetric/asyncmetric/queue"
)

// keep is the keeper: it extends the time of what is in hand, so that the
// server gives it to nobody else, and looks for what has ended elsewhere.
func (q *Queue) keep() {
	tick := time.NewTicker(q.config.takeover / 8)
	defer tick.Stop()
	for {
		select {
		case <-q.ctx.Done():
			return
		case <-tick.C:
			q.extend()
			q.reconcile(q.ctx, q.isOverdue)
			q.announce()
		}
	}
}

// extend tells the server that what is in hand is worked on. One confirmation is
// enough for all, as the server gets them in order.
func (q *Queue) extend() {
	sent := time.Now()
	entries, replies := q.inHand()
	if len(entries) == 0 {
		return
	}
	last := len(replies) - 1
	for _, reply := range replies[:last] {
		_ = q.js.Conn().Publish(reply, []byte("+WPI"))
	}
	ctx, cancel := context.WithTimeout(q.ctx, q.config.takeover/4)
	defer cancel()
	if _, err := q.js.Conn().RequestWithContext(ctx, replies[last], []byte("+WPI")); err != nil {
		return // what is held is let go in time
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range entries {
		e.lease = sent.Add(q.config.takeover)
	}
}

// inHand returns what is held or in flight, and where to extend it.
func (q *Queue) inHand() (entries []*entry, replies []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.ledger.known {
		if e.base == q.ledger.base && (e.state == held || e.state == inFlight) {
			entries = append(entries, e)
			replies = append(replies, e.msg.Reply())
		}
	}
	return entries, replies
}

// follow notes that the stream has been found, and whether it is another one
// than before: then what was in that one is lost.
func (q *Queue) follow(info *natsjs.StreamInfo) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if info.Created.Equal(q.created) {
		return
	}
	q.created = info.Created
	l := &q.ledger
	highest := l.last
	for position := range l.known {
		highest = max(highest, position)
	}
	for p := range l.parts {
		l.letGo(p)
		l.parts[p].hands = 0 // what is in flight has nothing to do with the new stream
	}
	q.drop(func(e *entry) bool { return e.state == stored }, queue.ReasonCorrupt, ErrLost)
	l.base = highest
	clear(l.early)
	clear(l.unacked)
	q.signal()
}

// drop ends the entries that satisfy which. The caller holds the lock.
func (q *Queue) drop(which func(*entry) bool, reason queue.DropReason, err error) {
	points := 0
	for _, e := range q.collect(which) {
		points += e.points
		q.ledger.end(e, 0, e.points)
	}
	if points > 0 {
		q.noteDrop(points, reason, err)
	}
}

// collect returns the entries that count and satisfy which. The caller holds
// the lock.
func (q *Queue) collect(which func(*entry) bool) (entries []*entry) {
	for _, e := range q.ledger.line {
		if e.state != ended && which(e) {
			entries = append(entries, e)
		}
	}
	return entries
}
