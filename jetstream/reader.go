package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// usualSize is how large a message is taken to be before one has come.
const usualSize = 64 << 10

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
	consumer  natsjs.Consumer
	base      uint64    // of the stream that read is about
	asked     time.Time // when the last request was sent
	checked   time.Time // when it was last checked who has something
	delivered uint64    // the consumer's number of the last message
	pin       string    // what the server calls the one who gets the messages
	largest   int       // bytes of a message; 0 if none has come
	failed    time.Time // when a dead letter could not be set aside
	stays     trouble   // why
	remade    bool      // it has received what contradicts what is known
	trouble   trouble
}

func (r *reader) run(ctx context.Context) {
	defer close(r.done)
	for pause := checkInterval; ; pause = min(2*pause, time.Second) {
		began := time.Now()
		err := r.read(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Second {
			pause = checkInterval
		}
		r.remade = errors.Is(err, errRemade)
		if r.trouble.isNews(err, time.Now()) {
			r.queue.fail(fmt.Errorf("partition %d: %w", r.partition, err))
		}
		_ = sleep(ctx, pause)
	}
}

// read receives messages until that fails or ctx ends, and then gives back what
// it has.
func (r *reader) read(ctx context.Context) error {
	if err := r.find(ctx); err != nil {
		return err
	}
	r.pin, r.delivered, r.largest = "", 0, 0
	defer r.giveBack()
	for {
		room, err := r.awaitRoom(ctx)
		if err != nil {
			return err
		}
		if err := r.pull(ctx, room); err != nil {
			return err
		}
	}
}

// pull asks the server for messages and receives them, until all have come or
// the time of the request is over.
func (r *reader) pull(ctx context.Context, room int) error {
	q := r.queue
	request := pullRequest{Expires: min(q.config.takeover/8, q.config.longestPull), Batch: room}
	if isPinned(r.consumer) {
		request.Group, request.Pin = group, r.pin
	}
	p, err := newPull(q.js.Conn(), pullSubject(q.js, q.config.stream, consumerName(r.partition)), request)
	if err != nil {
		return err
	}
	r.asked = p.sent
	defer r.endPull(p)
	for {
		msg, err := p.next(ctx, checkInterval)
		switch {
		case err != nil && !errors.Is(err, errPullEnded):
			return err
		case msg != nil:
			if err := r.receive(msg, p.sent.Add(q.config.lease())); err != nil {
				q.nak([]string{msg.Reply})
				return err
			}
		}
		r.setAside(ctx)
		if p.isDrained() && time.Since(r.checked) >= checkInterval {
			r.checked = time.Now()
			if err := r.check(ctx); err != nil {
				return err
			}
		}
		if err != nil {
			r.trouble = trouble{}
			return nil
		}
	}
}

// endPull gives back what was not received.
func (r *reader) endPull(p *pull) {
	replies, pin := p.close()
	r.queue.nak(replies)
	if pin != "" {
		r.pin = pin
	}
}

// awaitRoom waits until the server may send messages, and returns how many.
func (r *reader) awaitRoom(ctx context.Context) (room int, err error) {
	for {
		r.dropLapsed()
		if room = r.room(); room > 0 {
			return room, nil
		}
		r.setAside(ctx)
		if err := r.check(ctx); err != nil {
			return 0, err
		}
		select {
		case <-r.part().room:
		case <-time.After(checkInterval): // leases lapse
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (r *reader) part() *part { return &r.queue.ledger.parts[r.partition] }

// room returns how many messages there is room for; none until it is worth a
// request. One that brings nothing keeps the partition pinned to this relay: as
// long as the window is full the server sends no more. It does not count what it
// has discarded, so there is another bound.
func (r *reader) room() int {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	most := windowOf(r.consumer)
	entries, left := r.part().inHand(), r.queue.config.inHand/len(r.queue.ledger.parts)
	for _, e := range entries {
		left -= e.size
	}
	switch n := len(entries); {
	case n == 0 || n <= most*3/4 && left > 0:
		return min(most-n, 1+left/cmp.Or(r.largest, usualSize))
	case isPinned(r.consumer) && n < 2*most && time.Since(r.asked) > r.queue.config.takeover/4:
		return 1
	default:
		return 0
	}
}

// find looks for the stream and for the consumer.
func (r *reader) find(ctx context.Context) (err error) {
	q := r.queue
	if err := q.publisher.findAgain(ctx); err != nil {
		return err
	}
	q.mu.Lock()
	if r.remade && r.base == q.ledger.base { // the server believes that it is the same
		q.forget(q.created)
	}
	r.base = q.ledger.base
	q.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	r.consumer, err = findConsumer(ctx, q.js, &q.config, r.partition)
	return err
}
