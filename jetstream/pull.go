package jetstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

var (
	errPullEnded   = errors.New("the request has ended")
	errPinLost     = errors.New("the partition is pinned to another client")
	errInterrupted = errors.New("the server has ended the request")
)

// A pull is one request for messages of a consumer (NATS ADR-13, and ADR-42 for
// what is pinned). Each has an inbox of its own, other than what nats.go has
// under way, so that it is known of each message that the server sent it after
// the request was: that bounds for how long the server gives it to nobody else.
//
// It also tells an answer of the server from a message by its having no reply
// subject, so that no message can pass for an answer.
type pull struct {
	conn *nats.Conn
	sub  *nats.Subscription
	came chan *nats.Msg // has room for all that can come
	sent time.Time
	left int       // messages that are still to come
	end  time.Time // when the server should have ended it

	isEarly bool // it has ended before all had come
}

// pullRequest is what the server is sent.
type pullRequest struct {
	Expires time.Duration `json:"expires"`
	Batch   int           `json:"batch"`
	Group   string        `json:"group,omitempty"`
	Pin     string        `json:"id,omitempty"`
}

// newPull sends a request to the subject of a consumer.
func newPull(conn *nats.Conn, subject string, request pullRequest) (*pull, error) {
	data, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	const answers = 2 // an end, and a complaint
	p := &pull{conn: conn, came: make(chan *nats.Msg, request.Batch+answers), left: request.Batch}
	inbox := conn.NewInbox()
	if p.sub, err = conn.ChanSubscribe(inbox, p.came); err != nil {
		return nil, err
	}
	p.sent = time.Now()
	p.end = p.sent.Add(request.Expires)
	if err := conn.PublishRequest(subject, inbox, data); err != nil {
		_ = p.sub.Unsubscribe()
		return nil, err
	}
	return p, nil
}

// next waits for a message, for so long at most: it returns nil if none has
// come. The error is errPullEnded when no more will come, or what the server or
// ctx says. It also returns what comes to an earlier request, if there is one: in a
// cluster the end may overtake messages, which wait for the replicas.
func (p *pull) next(ctx context.Context, wait time.Duration, earlier *pull) (*nats.Msg, error) {
	if p.left == 0 {
		return nil, errPullEnded
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var late <-chan *nats.Msg
	if earlier != nil {
		late = earlier.came
	}
	select {
	case msg := <-late:
		if msg.Reply == "" {
			return nil, nil
		}
		return msg, nil
	case msg := <-p.came:
		if msg.Reply == "" {
			p.isEarly = p.left > 0
			p.left = 0
			return nil, answer(msg)
		}
		p.left--
		return msg, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case now := <-timer.C:
		if now.After(p.end.Add(attemptTimeout)) {
			return nil, nats.ErrTimeout
		}
		return nil, nil
	}
}

// answer returns what the server says instead of a message.
func answer(msg *nats.Msg) error {
	switch status := msg.Header.Get("Status"); status {
	case "404", "408": // nothing there, time over
		return errPullEnded
	case "423":
		return errPinLost
	case "409": // a change of leaders, its shutdown, the end of the consumer
		return fmt.Errorf("%w: %s", errInterrupted, msg.Header.Get("Description"))
	case "503":
		return nats.ErrNoResponders
	default:
		return fmt.Errorf("%s %s", status, msg.Header.Get("Description"))
	}
}

// isDrained reports whether everything that has come has been received.
func (p *pull) isDrained() bool { return len(p.came) == 0 }

// close waits for the end of the request, and returns where to give back what has
// come and was not received, and the pin that it came with. Nobody can end it
// but the server, when its time is over or all has come: what is on its way to an
// inbox that is not there any more would be nobody's until its time is over, and
// the pin of a partition could go there, too.
func (p *pull) close() (replies []string, pin string) {
	for p.left > 0 && p.conn.IsConnected() {
		msg, err := p.next(context.Background(), time.Until(p.end)+endTimeout, nil)
		if msg == nil || err != nil {
			break
		}
		replies, pin = append(replies, msg.Reply), pinOf(msg)
	}
	if p.isEarly && p.conn.IsConnected() {
		_ = sleep(context.Background(), lateTime)
	}
	late, latePin := p.abandon()
	return append(replies, late...), cmp.Or(latePin, pin)
}

// abandon ends listening to a request that has ended, and returns what close does.
func (p *pull) abandon() (replies []string, pin string) {
	_ = p.sub.Unsubscribe()
	for msg := p.late(); msg != nil; msg = p.late() {
		replies, pin = append(replies, msg.Reply), pinOf(msg)
	}
	return replies, pin
}

// late returns a message that has come, nil if there is none.
func (p *pull) late() *nats.Msg {
	for {
		select {
		case msg := <-p.came:
			if msg.Reply != "" {
				return msg
			}
		default:
			return nil
		}
	}
}

// lateTime is how much later than the end of a request a message may come that
// was sent before.
const lateTime = 50 * time.Millisecond

// endTimeout is how much later than it should the server may end a request whose
// reader wants to stop.
const endTimeout = 250 * time.Millisecond

// pullSubject returns the subject for requests for messages of a consumer.
func pullSubject(js natsjs.JetStream, stream, consumer string) string {
	prefix := natsjs.DefaultAPIPrefix
	switch o := js.Options(); {
	case o.Domain != "":
		prefix = "$JS." + o.Domain + ".API."
	case o.APIPrefix != "":
		prefix = strings.TrimSuffix(o.APIPrefix, ".") + "."
	}
	return prefix + "CONSUMER.MSG.NEXT." + stream + "." + consumer
}
