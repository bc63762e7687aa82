package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// The headers of a dead letter.
const (
	headerReason  = "Asyncmetric-Dead-Reason"
	headerStream  = "Asyncmetric-Dead-Stream"
	headerSubject = "Asyncmetric-Dead-Subject"
	headerSeq     = "Asyncmetric-Dead-Sequence"
	headerSize    = "Asyncmetric-Dead-Size" // of the message, if the letter has not all of it
)

// deadPause is how long after a dead letter that could not be set aside the
// next one is tried: each may take attemptTimeout.
const deadPause = time.Second

// setAside publishes what could not be read to the subject for dead letters, and
// acknowledges it. Where that fails the message stays and the reader tries again.
func (r *reader) setAside(ctx context.Context) {
	q := r.queue
	for _, e := range r.rejected() {
		if ctx.Err() != nil {
			return
		}
		if err := r.send(ctx, e); err != nil {
			r.failed = time.Now()
			if ctx.Err() == nil && r.stays.isNews(err, r.failed) {
				q.fail(fmt.Errorf("the message at position %d, of partition %d, cannot be set aside and stays: %w: %w",
					e.position, e.partition, err, e.reason))
			}
			if isPassing(err) {
				return
			}
			continue // it may be this one alone
		}
		if !q.isRejected(e) || !q.dismiss(e) {
			r.failed = time.Now()
			return
		}
		q.mu.Lock()
		q.ledger.dismissed(e)
		q.mu.Unlock()
	}
}

// send publishes a dead letter; what has no data points is none.
func (r *reader) send(ctx context.Context, e *entry) error {
	q := r.queue
	if e.reason == nil || !q.isRejected(e) {
		return nil
	}
	if err := q.publishDead(ctx, e); err != nil {
		return err
	}
	r.stays = errorFilter{}
	q.fail(fmt.Errorf("the message at position %d, of partition %d, was set aside: %w", e.position, e.partition, e.reason))
	return nil
}

// isRejected reports whether an entry is still one to set aside.
func (q *Queue) isRejected(e *entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return e.state == rejected && q.ledger.known[e.position] == e
}

// rejected returns what there is to set aside now.
func (r *reader) rejected() []*entry {
	if time.Since(r.failed) < deadPause {
		return nil
	}
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	return slices.Clone(r.part().bad)
}

// publishDead publishes a dead letter, and makes the stream for them if that is
// missing.
func (q *Queue) publishDead(ctx context.Context, e *entry) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	letter := q.deadLetter(e)
	_, err := q.js.PublishMsg(ctx, letter, natsjs.WithRetryAttempts(0))
	if errors.Is(err, natsjs.ErrNoStreamResponse) {
		if err := makeDeadStream(ctx, q.js, &q.config, q.publisher.found().CachedInfo()); err != nil {
			return err
		}
		_, err = q.js.PublishMsg(ctx, letter)
	}
	return err
}

// deadLetter makes a dead letter. Its id is that of the message, in the stream
// as it was made last.
func (q *Queue) deadLetter(e *entry) *nats.Msg {
	letter := nats.NewMsg(q.config.deadSubject())
	seq := strconv.FormatUint(e.position-e.base, 10)
	letter.Data = e.data
	letter.Header.Set(headerReason, e.reason.Error())
	letter.Header.Set(headerStream, q.config.stream)
	letter.Header.Set(headerSubject, q.config.partSubject(e.partition))
	letter.Header.Set(headerSeq, seq)
	letter.Header.Set(natsjs.MsgIDHeader, q.config.stream+"."+seq+"."+strconv.FormatInt(e.timestamp.UnixNano(), 10))
	if most := int(q.js.Conn().MaxPayload()) - headerRoom; most > 0 && len(e.data) > most {
		letter.Data = e.data[:most]
		letter.Header.Set(headerSize, strconv.Itoa(len(e.data)))
	}
	return letter
}
