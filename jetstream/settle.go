package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asyncmetric/asyncmetric/queue"
)

// settle is Settle of an entry.
func (q *Queue) settle(e *entry, o queue.Outcome) error {
	defer q.tell()
	reply, err := q.endTaken(e, o)
	if err != nil || reply == "" {
		return err
	}
	err = errSilent
	switch {
	case !q.isSilent(e.partition):
		err = q.ack(e)
	case q.js.Conn().IsConnected():
		_ = q.js.Conn().Publish(reply, positive) // there may be many, and each would wait
	}
	if err != nil {
		q.nak(q.stop(e))
		return q.config.inStream(fmt.Errorf("acknowledging the message at position %d, it may be delivered again: %w", e.position, err))
	}
	q.confirm(e)
	return nil
}

var errSilent = errors.New("the one before was not confirmed")

func (q *Queue) isSilent(partition int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ledger.parts[partition].silent
}

// confirm notes that an end was acknowledged.
func (q *Queue) confirm(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ledger.confirm(e)
	q.ledger.parts[e.partition].silent = false
}

// stop lets go of a partition, of which an end could not be acknowledged: who
// takes over would deliver what is behind it again, too. It returns where to give
// it back, which is sent when there is a server again.
func (q *Queue) stop(e *entry) (replies []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.base == q.ledger.base {
		replies = q.ledger.letGo(e.partition)
		q.ledger.parts[e.partition].silent = true
	}
	return replies
}

// endTaken checks the numbers, enters the end, and returns where to send the
// acknowledgement, nowhere if the message is gone: in a stream of the same name
// that was made since, the number belongs to another one.
func (q *Queue) endTaken(e *entry, o queue.Outcome) (reply string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.state != inFlight {
		return "", endedBefore(e)
	}
	if o.Exported < 0 || o.Dropped < 0 || o.Exported+o.Dropped != e.points {
		return "", fmt.Errorf("jetstream: %d exported and %d dropped data points do not make up the %d of the collection",
			o.Exported, o.Dropped, e.points)
	}
	q.ledger.end(e, o)
	if e.base != q.ledger.base {
		return "", nil // its stream was deleted
	}
	q.ledger.miss(e)
	return e.reply, nil
}

func endedBefore(e *entry) error {
	return fmt.Errorf("jetstream: the collection at position %d has been settled or returned before", e.position)
}

// takeBack is Return of an entry.
func (q *Queue) takeBack(e *entry) error {
	defer q.tell()
	replies, err := q.holdAgain(e)
	q.nak(replies)
	return err
}

// holdAgain makes an entry in flight one that is held. It returns where to give
// it back where this relay delivers nothing any more.
func (q *Queue) holdAgain(e *entry) (replies []string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case e.state != inFlight:
		return nil, endedBefore(e)
	case e.base != q.ledger.base: // its stream was deleted
		q.drop([]*entry{e}, queue.ReasonCorrupt, ErrLost)
		return nil, nil
	}
	q.ledger.takeBack(e)
	q.signal()
	if !q.closed {
		return nil, nil
	}
	replies = q.ledger.letGo(e.partition)
	if !e.lease.After(time.Now()) {
		return nil, nil // the server may have given it to another relay
	}
	return replies, nil
}

// ackTimeout is how long Settle waits for a server that does not answer, all
// attempts together, and ackAttempt one of them.
const (
	ackTimeout = 2 * time.Second
	ackAttempt = 500 * time.Millisecond
)

// positive is what acknowledges a message.
var positive = []byte("+ACK")

// ack acknowledges a message and waits for the server to confirm it. Not in a
// stream that was made since: the number belongs to another one there.
func (q *Queue) ack(e *entry) error {
	end := time.Now().Add(ackTimeout)
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		reply, ok := q.replyOf(e)
		if !ok {
			return nil
		}
		_, err := q.js.Conn().Request(reply, positive, ackAttempt)
		if err == nil || !isPassing(err) || time.Now().Add(pause).After(end) {
			return err
		}
		_ = sleep(context.Background(), pause)
	}
}

// replyOf returns where to acknowledge an entry, if it is of this stream.
func (q *Queue) replyOf(e *entry) (reply string, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return e.reply, e.base == q.ledger.base
}
