package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// checkInterval is how often a reader asks the server whether all that others
// had in their hands has come to it.
const checkInterval = 100 * time.Millisecond

// A reader receives what the server sends of one partition, in a goroutine that
// the roster starts and waits for.
type reader struct {
	queue     *Queue
	partition int
	stop      context.CancelFunc
	done      chan struct{} // closed when run has ended

	// Owned by the goroutine.
	consumer natsjs.Consumer
	pin      string              // what the server calls the one who gets the messages
	bad      map[uint64]struct{} // sequence numbers of dead letters that could not be set aside
	reported string              // the error that was reported last
}

func (r *reader) run(ctx context.Context) {
	defer close(r.done)
	q := r.queue
	for pause := checkInterval; ctx.Err() == nil; pause = min(2*pause, time.Second) {
		began := time.Now()
		err := r.read(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Second {
			pause = checkInterval
		}
		if err != nil && err.Error() != r.reported {
			r.reported = err.Error()
			q.fail(fmt.Errorf("partition %d: %w", r.partition, err))
		}
		_ = sleep(ctx, pause)
	}
}

// read receives messages until that fails or ctx ends, and then gives back what
// it has.
func (r *reader) read(ctx context.Context) error {
	q := r.queue
	if err := r.find(ctx); err != nil {
		return err
	}
	r.pin, r.bad = "", make(map[uint64]struct{})
	opts := []natsjs.PullMessagesOpt{natsjs.PullMaxMessages(window), natsjs.PullExpiry(max(time.Second, q.config.takeover/4))}
	if isPinned(r.consumer) {
		opts = append(opts, natsjs.PullPriorityGroup(group))
	}
	messages, err := r.consumer.Messages(opts...)
	if err != nil {
		return err
	}
	defer r.giveBack(messages)
	for {
		if r.isFull() && ctx.Err() == nil {
			_ = sleep(ctx, checkInterval)
			r.check(ctx)
			continue
		}
		msg, err := r.next(ctx, messages)
		switch {
		case err == nil:
			r.reported = ""
			r.receive(ctx, msg)
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, natsjs.ErrNoHeartbeat):
			return err
		}
		r.check(ctx)
	}
}

// find looks for the stream and for the consumer.
func (r *reader) find(ctx context.Context) (err error) {
	q := r.queue
	if err := q.publisher.findAgain(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	r.consumer, err = findConsumer(ctx, q.js, &q.config, r.partition)
	return err
}

// next waits for a message; not for long if there is something else to do.
func (r *reader) next(ctx context.Context, messages natsjs.MessagesContext) (natsjs.Msg, error) {
	if !r.isClear() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, checkInterval)
		defer cancel()
	}
	return messages.Next(natsjs.NextContext(ctx))
}

// isFull reports whether there is more in hand than the server should send. It
// does not count what it has discarded meanwhile.
func (r *reader) isFull() bool {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	return r.queue.ledger.parts[r.partition].hands > window
}

func (r *reader) isClear() bool {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	return r.queue.ledger.parts[r.partition].clear
}

// check finds out whether anybody else has something of the partition that has
// not been acknowledged. Whoever had the partition before may be delivering
// still, or be dead; then the server sends it again when the time is over.
func (r *reader) check(ctx context.Context) {
	if r.isClear() {
		return
	}
	all := 0
	if isPinned(r.consumer) {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		info, err := r.consumer.Info(ctx)
		if err != nil {
			return
		}
		all = info.NumAckPending
	}
	q := r.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := &q.ledger.parts[r.partition]; all <= p.hands+len(r.bad) {
		p.clear = true
		q.signal()
	}
}

// giveBack ends the iteration, returns to the server what has been received and
// not been taken, and lets it pin another client at once.
func (r *reader) giveBack(messages natsjs.MessagesContext) {
	q := r.queue
	q.mu.Lock()
	entries := q.ledger.letGo(r.partition)
	q.mu.Unlock()
	replies := make([]string, 0, len(entries))
	for _, e := range entries {
		replies = append(replies, e.msg.Reply())
	}
	messages.Drain()
	for {
		msg, err := messages.Next(natsjs.NextMaxWait(attemptTimeout))
		if err != nil {
			break
		}
		replies = append(replies, msg.Reply())
	}
	messages.Stop()
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
