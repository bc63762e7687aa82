package jetstream

import (
	"context"
	"errors"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// What a reader does so that only one relay has anything of its partition.

func (r *reader) isClear() bool {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	return r.queue.ledger.parts[r.partition].clear
}

// check finds out whether anybody else has something of the partition that has
// not been acknowledged. Whoever had the partition before may be delivering
// still, or be dead; then the server sends it again when the time is over. Its
// error says that stream or consumer are not what they were.
func (r *reader) check(ctx context.Context) error {
	if r.isClear() {
		return nil
	}
	q := r.queue
	all, first := 0, uint64(0)
	if isPinned(r.consumer) {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		stream, err := q.publisher.found().Info(ctx)
		if err != nil {
			return gone(err)
		}
		q.follow(stream)
		info, err := r.consumer.Info(ctx)
		if err != nil {
			return gone(err)
		}
		all, first = info.NumAckPending, r.base+stream.State.FirstSeq
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.base != q.ledger.base {
		return errRemade
	}
	if p := r.part(); all <= p.leased(time.Now(), first) {
		p.clear = true
		q.signal()
	}
	return nil
}

// gone returns an error only if it says that something is not there.
func gone(err error) error {
	if errors.Is(err, natsjs.ErrConsumerNotFound) || errors.Is(err, natsjs.ErrStreamNotFound) {
		return err
	}
	return nil
}

// giveBack returns to the server what has been received and not been taken, and
// lets it pin another client at once.
func (r *reader) giveBack() {
	q := r.queue
	q.mu.Lock()
	replies := q.ledger.letGo(r.partition)
	q.mu.Unlock()
	q.nak(replies)
	r.unpin()
}

// unpin tells the server that this client is not the one any more.
func (r *reader) unpin() {
	if r.pin == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	info, err := r.consumer.Info(ctx)
	if err != nil || len(info.PriorityGroups) == 0 || info.PriorityGroups[0].PinnedClientID != r.pin {
		return
	}
	// Where it fails the time of the pin runs out.
	_ = r.queue.publisher.found().UnpinConsumer(ctx, consumerName(r.partition), group)
}

// dropLapsed lets go of what is held if the server may have given it to another
// relay.
func (r *reader) dropLapsed() {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	if p := r.part(); p.hasLapsed(time.Now()) {
		r.queue.ledger.letGo(r.partition)
	}
}
