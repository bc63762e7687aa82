package jetstream

import (
	"context"
	"time"
)

// extendLeases is a goroutine that extends the leases of what has been received,
// so that the server gives it to no other relay. Each partition has a consumer of
// its own, which may have a server of its own, so none waits for another.
func (q *Queue) extendLeases() {
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

// extendPart extends what has been received of a partition and has less than half
// of its lease left. One confirmation is enough for all, because the consumer gets
// them in order. The server extends whatever it has given to any relay, so an
// extension counts only if the server confirms it before the lease is over.
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
