package jetstream

import (
	"context"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/asyncmetric/asyncmetric/queue"
)

// keep is the keeper: it extends the time of what is in hand, so that the
// server gives it to nobody else. Each partition has a consumer of its own, which
// may have a server of its own, so none waits for another.
func (q *Queue) keep() {
	tick := time.NewTicker(q.config.takeover / 8)
	defer tick.Stop()
	aged := time.Now()
	for {
		select {
		case <-q.ctx.Done():
			return
		case now := <-tick.C:
			for _, p := range q.beginExtensions() {
				q.running.Go(func() {
					q.extendPart(p)
					q.endExtension(p)
				})
			}
			if now.Sub(aged) > q.config.takeover {
				aged = now
				q.age()
			}
		}
	}
}

// watch looks for what has ended elsewhere.
func (q *Queue) watch() {
	tick := time.NewTicker(overdue / 4)
	defer tick.Stop()
	for {
		select {
		case <-q.ctx.Done():
			return
		case <-tick.C:
			q.reconcile(q.ctx, q.isOverdue)
			q.tell()
		}
	}
}

// beginExtensions returns the partitions of which something has to be extended.
func (q *Queue) beginExtensions() (partitions []int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.ledger.parts {
		if p := &q.ledger.parts[i]; !p.extending && len(p.inHand()) > 0 {
			p.extending = true
			partitions = append(partitions, i)
		}
	}
	return partitions
}

func (q *Queue) endExtension(partition int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ledger.parts[partition].extending = false
}

func (q *Queue) age() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ledger.age()
}

// extendPart extends what is in hand of a partition and has less than half of its
// time left. One confirmation is enough for all, as the consumer gets them in
// order. The server extends whatever it has given to anybody, so this is about
// what it cannot have given to others: it counts only if it is confirmed before
// the time so far is over.
func (q *Queue) extendPart(partition int) {
	sent := time.Now()
	entries, replies := q.leased(partition, sent)
	if len(entries) == 0 {
		return
	}
	last := len(replies) - 1
	for _, reply := range replies[:last] {
		_ = q.js.Conn().Publish(reply, inProgress)
	}
	ctx, cancel := context.WithTimeout(q.ctx, q.config.takeover/8)
	defer cancel()
	if _, err := q.js.Conn().RequestWithContext(ctx, replies[last], inProgress); err != nil {
		return // what is held is let go in time
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	confirmed := time.Now()
	for _, e := range entries {
		if e.lease.After(confirmed) {
			e.lease = sent.Add(q.config.lease())
		}
	}
}

// inProgress is what extends the time of a message.
var inProgress = []byte("+WPI")

// leased returns what there is to extend of a partition, and where.
func (q *Queue) leased(partition int, now time.Time) (entries []*entry, replies []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	soon := now.Add(q.config.lease() / 2)
	for _, e := range q.ledger.parts[partition].inHand() {
		if e.lease.After(now) && e.lease.Before(soon) {
			entries = append(entries, e)
			replies = append(replies, e.reply)
		}
	}
	return entries, replies
}

// follow notes that the stream has been found, and whether it is another one
// than before: then what was in that one is lost.
func (q *Queue) follow(info *natsjs.StreamInfo) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !info.Created.After(q.created) { // or it is late news
		return
	}
	q.discards = overflowOf(info) == queue.DropOldest
	q.forget(info.Created)
}

// forget begins with another stream, that was made at an instant. The caller
// holds the lock.
func (q *Queue) forget(created time.Time) {
	q.created = created
	l := &q.ledger
	highest := max(l.base, l.last)
	for position := range l.known {
		highest = max(highest, position)
	}
	for p := range l.parts {
		l.letGo(p)
		l.parts[p].flying = nil // has nothing to do with the new stream
	}
	q.drop(q.collect(func(e *entry) bool { return e.state == stored }), queue.ReasonCorrupt, ErrLost)
	l.base, l.gone = max(highest, l.base+1), 0 // what is of the one before can be told
	clear(l.early)
	clear(l.unacked)
	for _, acked := range l.acked {
		clear(acked)
	}
	q.signal()
}

// drop ends entries that count, given in the order of their positions. The
// caller holds the lock.
func (q *Queue) drop(entries []*entry, reason queue.DropReason, err error) {
	if len(entries) == 0 {
		return
	}
	d := queue.Drop{Position: entries[0].position, Reason: reason, Err: q.config.inStream(err)}
	for _, e := range entries {
		d.Points += e.points
		q.ledger.end(e, queue.Outcome{Dropped: e.points})
	}
	q.notices.Dropped(d)
	q.signal()
}

// refuse counts points that were accepted, and dropped before they were queued.
// The caller holds the lock.
func (q *Queue) refuse(d queue.Drop) {
	q.ledger.stats.Accepted += uint64(d.Points)
	q.ledger.stats.Dropped += uint64(d.Points)
	q.notices.Dropped(d)
}

// collect returns the entries that count and satisfy which. The caller holds
// the lock.
func (q *Queue) collect(which func(*entry) bool) (entries []*entry) {
	for _, e := range q.ledger.line {
		if which(e) {
			entries = append(entries, e)
		}
	}
	return entries
}
