package jetstream

import (
	"context"
	"errors"
	"fmt"
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

// setAside publishes a message that is not a record to the subject for dead
// letters, and acknowledges it. Where that fails the server sends it again
// when its time is over.
func (r *reader) setAside(ctx context.Context, e *entry, msg *nats.Msg, reason error) {
	q := r.queue
	_, again := r.bad[e.position]
	r.bad[e.position] = struct{}{}
	if !again {
		q.fail(fmt.Errorf("the message at position %d, on %s, is set aside: %w", e.position, msg.Subject, reason))
	}
	if time.Since(r.failed) < deadPause {
		return
	}
	if err := q.publishDead(ctx, e, msg, reason); err != nil {
		r.failed = time.Now()
		q.fail(fmt.Errorf("the message at position %d, on %s, cannot be set aside and stays: %w", e.position, msg.Subject, err))
		return
	}
	q.dismiss(e)
	delete(r.bad, e.position)
}

// publishDead publishes a dead letter, and makes the stream for them if that is
// missing.
func (q *Queue) publishDead(ctx context.Context, e *entry, msg *nats.Msg, reason error) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	letter := q.deadLetter(e, msg, reason)
	_, err := q.js.PublishMsg(ctx, letter, natsjs.WithRetryAttempts(0))
	if errors.Is(err, natsjs.ErrNoStreamResponse) {
		if err := makeDeadStream(ctx, q.js, &q.config); err != nil {
			return err
		}
		_, err = q.js.PublishMsg(ctx, letter)
	}
	return err
}

// deadLetter makes a dead letter. Its id is that of the message, in the stream
// as it was made last.
func (q *Queue) deadLetter(e *entry, msg *nats.Msg, reason error) *nats.Msg {
	letter := nats.NewMsg(q.config.deadSubject())
	seq := strconv.FormatUint(e.position-e.base, 10)
	letter.Data = msg.Data
	letter.Header.Set(headerReason, reason.Error())
	letter.Header.Set(headerStream, q.config.stream)
	letter.Header.Set(headerSubject, msg.Subject)
	letter.Header.Set(headerSeq, seq)
	letter.Header.Set(natsjs.MsgIDHeader, q.config.stream+"."+seq+"."+strconv.FormatInt(e.timestamp.UnixNano(), 10))
	if most := int(q.js.Conn().MaxPayload()) - headerRoom; most > 0 && len(msg.Data) > most {
		letter.Data = msg.Data[:most]
		letter.Header.Set(headerSize, strconv.Itoa(len(msg.Data)))
	}
	return letter
}
