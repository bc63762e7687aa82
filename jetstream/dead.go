package jetstream

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// The headers of a dead letter, besides those of the message.
const (
	headerReason = "Asyncmetric-Dead-Reason"
	headerStream = "Asyncmetric-Dead-Stream"
	headerSeq    = "Asyncmetric-Dead-Sequence"
)

// setAside publishes a message that is not a record to the subject for dead
// letters, and acknowledges it. Where that fails the server sends it again
// when its time is over.
func (r *reader) setAside(ctx context.Context, seq uint64, msg *nats.Msg, reason error) {
	q := r.queue
	_, again := r.bad[seq]
	r.bad[seq] = struct{}{}
	if !again {
		q.fail(fmt.Errorf("message %d on %s is set aside: %w", seq, msg.Subject, reason))
	}
	if err := q.publishDead(ctx, seq, msg, reason); err != nil {
		q.fail(fmt.Errorf("message %d on %s cannot be set aside and stays: %w", seq, msg.Subject, err))
		return
	}
	r.dismiss(msg)
	delete(r.bad, seq)
}

// publishDead publishes a dead letter.
func (q *Queue) publishDead(ctx context.Context, seq uint64, msg *nats.Msg, reason error) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	letter := nats.NewMsg(q.config.deadSubject())
	letter.Data = msg.Data
	letter.Header.Set(headerReason, reason.Error())
	letter.Header.Set(headerStream, q.config.stream)
	letter.Header.Set(headerSeq, strconv.FormatUint(seq, 10))
	letter.Header.Set(natsjs.MsgIDHeader, q.config.stream+"."+strconv.FormatUint(seq, 10))
	_, err := q.js.PublishMsg(ctx, letter)
	return err
}
