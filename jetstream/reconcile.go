package jetstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/asyncmetric/asyncmetric/queue"
)

// overdue is how long what this Queue has put may wait before the server is
// asked what has become of it.
const overdue = time.Second

// isOverdue reports whether something has been waiting in the stream for long.
func (q *Queue) isOverdue(*natsjs.StreamInfo) bool {
	before := time.Now().Add(-overdue)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.ledger.line {
		if e.state == stored {
			return e.accepted.Before(before)
		}
	}
	return false
}

// isDiscarding reports whether the server has removed something that has not
// been taken here. The info is nil while it has not been asked.
func (q *Queue) isDiscarding(info *natsjs.StreamInfo) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if info == nil {
		return q.discards && q.ledger.waiting > 0
	}
	return len(q.collect(q.removed(info))) > 0
}

// removed returns what reports whether an entry that counts, and is not in
// flight, has been removed from the stream.
func (q *Queue) removed(info *natsjs.StreamInfo) func(*entry) bool {
	first := q.ledger.base + info.State.FirstSeq
	return func(e *entry) bool {
		return (e.state == stored || e.state == held) && e.position < first
	}
}

// reconcile asks the server for what has become of the entries that wait: those
// that another relay has acknowledged have ended there, those that are not in
// the stream any more were discarded. It does so if needed says so, before and
// after asking for the state of the stream. That the server does not answer
// does no harm, it is asked again.
func (q *Queue) reconcile(ctx context.Context, needed func(*natsjs.StreamInfo) bool) {
	if !needed(nil) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	info, err := q.publisher.found().Info(ctx)
	if err != nil || !needed(info) {
		return
	}
	q.follow(info)
	floors := q.floors(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	if !info.Created.Equal(q.created) {
		return
	}
	now := time.Now()
	elsewhere := q.collect(func(e *entry) bool {
		waits := e.state == stored || e.state == held && !e.lease.After(now)
		return waits && e.position <= q.ledger.base+floors[e.partition]
	})
	for _, e := range elsewhere {
		q.ledger.end(e, queue.Outcome{Exported: e.points})
	}
	if len(elsewhere) > 0 {
		q.signal()
	}
	q.dropRemoved(info)
}

// dropRemoved drops what is not in the stream any more. The caller holds the
// lock.
func (q *Queue) dropRemoved(info *natsjs.StreamInfo) {
	removed := q.removed(info)
	if age := info.Config.MaxAge; age > 0 {
		before := time.Now().Add(-age)
		q.drop(q.collect(func(e *entry) bool { return removed(e) && e.accepted.Before(before) }),
			queue.ReasonAge, fmt.Errorf("%w: it is older than %v", ErrDiscarded, age))
	}
	q.drop(q.collect(removed), queue.ReasonOverflow, errOverflow)
	q.ledger.gone = max(q.ledger.gone, q.ledger.base+info.State.FirstSeq)
}

// floors returns up to where everything has been acknowledged in the
// partitions from which something waits, of those of which it can be told.
func (q *Queue) floors(ctx context.Context) map[int]uint64 {
	waiting := make(map[int]struct{})
	q.mu.Lock()
	for _, e := range q.ledger.line {
		waiting[e.partition] = struct{}{}
	}
	q.mu.Unlock()
	var mu sync.Mutex
	floors := make(map[int]uint64)
	var group errgroup.Group
	group.SetLimit(maxRequests)
	for p := range waiting {
		group.Go(func() error {
			consumer, err := q.js.Consumer(ctx, q.config.stream, consumerName(p))
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				floors[p] = consumer.CachedInfo().AckFloor.Stream
			}
			return nil
		})
	}
	_ = group.Wait()
	return floors
}

// maxRequests is how many requests one call has under way at once.
const maxRequests = 16
