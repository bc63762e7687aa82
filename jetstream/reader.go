package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// checkInterval is how often a reader that waits asks the server whether all that
// others had in their hands has come to it.
const checkInterval = 100 * time.Millisecond

// checkPause is how often it does where messages come.
const checkPause = 20 * time.Millisecond

// A reader receives what the server sends of one partition, in a goroutine that
// the membership starts and waits for.
type reader struct {
	queue     *Queue
	partition int
	stop      context.CancelFunc
	done      chan struct{} // closed when run has ended

	// Owned by the goroutine.
	consumer  natsjs.Consumer
	base      uint64      // of the stream that read is about
	asked     time.Time   // when the last request was sent
	checked   time.Time   // when it was last checked who has something; zero when others may have something
	delivered uint64      // the consumer's number of the last message
	pin       string      // what the server calls the one who gets the messages
	earlier   *pull       // the request before; nil if nothing can come to it
	largest   int         // bytes of a message; 0 if none has come
	failed    time.Time   // when a dead letter could not be set aside
	stays     errorFilter // why
	remade    bool        // it has received what contradicts what is known
	errors    errorFilter
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
		if r.errors.isNews(err, time.Now()) {
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
	defer r.dropEarlier()
	for {
		request, err := r.awaitRoom(ctx)
		if err != nil {
			return err
		}
		if err := r.pull(ctx, request); err != nil {
			return err
		}
	}
}

// pull asks the server for messages and receives them, until all have come or
// the time of the request is over.
func (r *reader) pull(ctx context.Context, request pullRequest) error {
	q := r.queue
	request.Expires = min(q.config.takeover/8, q.config.longestPull)
	if isPinned(r.consumer) {
		request.Group, request.Pin = group, r.pin
	}
	p, err := newPull(q.js.Conn(), pullSubject(q.js, q.config.stream, consumerName(r.partition)), request)
	if err != nil {
		return err
	}
	r.asked = p.sent
	if err := r.receiveAll(ctx, p); err != nil {
		r.endPull(p)
		return err
	}
	r.errors = errorFilter{}
	r.keepEarlier(p)
	return nil
}

// receiveAll receives what comes to a request until that has ended.
func (r *reader) receiveAll(ctx context.Context, p *pull) error {
	for {
		msg, err := p.next(ctx, checkPause, r.earlier)
		if err != nil && !errors.Is(err, errPullEnded) {
			return err
		}
		if err := r.receiveInOrder(msg, p); err != nil {
			return err
		}
		r.setAside(ctx)
		if p.isDrained() && !r.isClear() && time.Since(r.checked) >= checkPause {
			r.checked = time.Now()
			if err := r.check(ctx); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// receiveInOrder receives a message, and before it what has come to the earlier
// request.
func (r *reader) receiveInOrder(msg *nats.Msg, p *pull) error {
	if msg != nil && r.earlier != nil && msg.Sub == r.earlier.sub {
		if err := r.receiveFrom(r.earlier, msg); err != nil {
			return err
		}
		msg = nil
	}
	for r.earlier != nil {
		late := r.earlier.late()
		if late == nil {
			break
		}
		if err := r.receiveFrom(r.earlier, late); err != nil {
			return err
		}
	}
	if msg == nil {
		return nil
	}
	return r.receiveFrom(p, msg)
}

// receiveFrom receives a message that came to a request, or gives it back.
func (r *reader) receiveFrom(p *pull, msg *nats.Msg) error {
	err := r.receive(msg, p.sent.Add(r.queue.config.lease()))
	if err != nil {
		r.queue.nak([]string{msg.Reply})
	}
	return err
}

// keepEarlier keeps a request that has ended until the next one has, if something
// may come late.
func (r *reader) keepEarlier(p *pull) {
	r.dropEarlier()
	r.earlier = p
	if !p.isEarly {
		r.dropEarlier()
	}
}

// endPull gives back what was not received, of the earlier request, too.
func (r *reader) endPull(p *pull) {
	r.dropEarlier()
	replies, pin := p.close()
	r.queue.nak(replies)
	if pin != "" {
		r.pin = pin
	}
}

func (r *reader) dropEarlier() {
	if r.earlier != nil {
		replies, _ := r.earlier.abandon()
		r.queue.nak(replies)
		r.earlier = nil
	}
}

// awaitRoom waits until there is something to ask the server for.
func (r *reader) awaitRoom(ctx context.Context) (pullRequest, error) {
	for {
		r.dropLapsed()
		if request := r.room(); request.Batch > 0 {
			return request, nil
		}
		r.setAside(ctx)
		if err := r.check(ctx); err != nil {
			return pullRequest{}, err
		}
		select {
		case <-r.part().room:
		case <-time.After(checkInterval): // leases lapse
		case <-ctx.Done():
			return pullRequest{}, ctx.Err()
		}
	}
}

func (r *reader) part() *part { return &r.queue.ledger.parts[r.partition] }

// room returns how much there is room for: nothing until it is worth a request, as
// long as nobody else may have something. One that is not worth it keeps the
// partition pinned to this relay; where the window is full it brings nothing, but
// what the server has discarded meanwhile makes room for.
func (r *reader) room() pullRequest {
	q := r.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	most := windowOf(r.consumer)
	entries, left := r.part().inHand(), q.config.inHand/len(q.ledger.parts)
	for _, e := range entries {
		left -= e.size
	}
	largest := cmp.Or(r.largest, int(q.js.Conn().MaxPayload()), 1)
	switch n := len(entries); {
	case n == 0 || n <= most*3/4 && left > 0:
		return pullRequest{Batch: min(most-n, 1+left/largest)}
	case !r.part().clear && n < 2*most: // what others had has to come, however much is here
		return pullRequest{Batch: max(most-n, 1)}
	case isPinned(r.consumer) && left > 0 && n < 2*most && time.Since(r.asked) > q.config.takeover/4:
		return pullRequest{Batch: 1}
	default:
		return pullRequest{}
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
