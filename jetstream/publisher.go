package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/queue"
)

const (
	// attemptTimeout is how long one attempt to publish waits for the answer.
	attemptTimeout = 2 * time.Second

	// headerRoom is what is kept of the maximum payload for the headers.
	headerRoom = 1 << 10

	// usualPayload is the maximum payload of a server that has not been told of
	// another one.
	usualPayload = 1 << 20

	// header has two numbers: how many points the producer has had stored in the
	// partition before this message, and how many are in it.
	header = "Asyncmetric-Points"
)

// A publisher hands collections over to the stream. What goes to one partition
// goes one after the other, in the order in which send is called. It has no
// goroutine.
type publisher struct {
	js     natsjs.JetStream
	config *config
	id     string                   // of the producer, the first part of all message ids
	follow func(*natsjs.StreamInfo) // called when the stream has been found, without a lock

	finding chan struct{} // capacity 1: holds a value while the stream is looked for

	mu     sync.Mutex
	stream natsjs.Stream // nil until it has been found
	lanes  []*lane       // one for each partition; fixed when the stream is found
}

func newPublisher(js natsjs.JetStream, c *config) *publisher {
	return &publisher{js: js, config: c, id: nuid.Next(), finding: make(chan struct{}, 1)}
}

// find makes sure that the stream has been found; while no server answers it
// tries again until ctx ends.
func (p *publisher) find(ctx context.Context) error {
	for pause := 10 * time.Millisecond; p.found() == nil; pause = min(2*pause, time.Second) {
		err := p.findAgain(ctx)
		if err == nil || !isPassing(err) {
			return err
		}
		if ended := sleep(ctx, pause); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
	return nil
}

// findAgain looks whether the stream is there, and makes it if it has to and
// may. A request that meets a change of leaders is not answered, so it has
// a deadline of its own.
func (p *publisher) findAgain(ctx context.Context) error {
	if err := acquire(ctx, p.finding); err != nil {
		return err
	}
	defer release(p.finding)
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	s, partitions, err := findStream(ctx, p.js, p.config)
	if err != nil {
		return err
	}
	if p.follow != nil {
		p.follow(s.CachedInfo())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lanes != nil && len(p.lanes) != partitions {
		return fmt.Errorf("%w: it has %d partitions, had %d before", ErrMismatch, partitions, len(p.lanes))
	}
	p.stream = s
	for i := len(p.lanes); i < partitions; i++ {
		p.lanes = append(p.lanes, &lane{partition: i, busy: make(chan struct{}, 1)})
	}
	return nil
}

// found returns the stream, nil if it has not been found yet.
func (p *publisher) found() natsjs.Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stream
}

func (p *publisher) partitions() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lanes)
}

// lane returns the lane for a resource.
func (p *publisher) lane(resource uint64) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lanes[resource%uint64(len(p.lanes))]
}

// pack makes messages of a collection that the server can take.
func (p *publisher) pack(rm *metricdata.ResourceMetrics) (*parcel, error) {
	most := int(p.js.Conn().MaxPayload())
	if most <= 0 {
		most = usualPayload
	}
	return pack(rm, max(most-headerRoom, most/2))
}

// send publishes what is in a parcel, and calls stored for each record that the
// stream has acknowledged, with the lane still taken. It repeats what may
// succeed until ctx ends.
func (p *publisher) send(ctx context.Context, parcel *parcel, stored func(*lane, record, *natsjs.PubAck)) error {
	if err := p.find(ctx); err != nil {
		return p.failed(ctx, err)
	}
	l := p.lane(parcel.resource)
	if err := acquire(ctx, l.busy); err != nil {
		return err
	}
	defer release(l.busy)
	var sent []doubt
	for _, r := range parcel.records {
		d := l.identify(p.id, r.data)
		ack, err := p.publish(ctx, l, r, d.id)
		if err != nil {
			l.keep(sent)
			return p.failed(ctx, err)
		}
		if !d.counted {
			l.stored += uint64(r.points)
			stored(l, r, ack)
		}
		sent = append(sent, doubt{data: r.data, id: d.id, counted: true})
	}
	return nil
}

// failed makes of an error one that says whether another call may succeed.
func (p *publisher) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if isFull(err) {
		err = fmt.Errorf("%w: %w", queue.ErrFull, err)
	}
	err = p.config.inStream(err)
	if isPassing(err) || isFull(err) || errors.Is(err, ErrNoStream) {
		return temporary{err}
	}
	return err
}

// publish publishes one record, as often as it takes.
func (p *publisher) publish(ctx context.Context, l *lane, r record, id string) (*natsjs.PubAck, error) {
	msg := nats.NewMsg(p.config.partSubject(l.partition))
	msg.Data = r.data
	msg.Header.Set(natsjs.MsgIDHeader, id)
	msg.Header.Set(header, strconv.FormatUint(l.stored, 10)+" "+strconv.Itoa(r.points))
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		ack, err := p.attempt(ctx, msg)
		if err == nil {
			l.clear(id)
			return ack, nil
		}
		l.doubt(id, r.data)
		if isFull(err) {
			return nil, err
		}
		if !isPassing(err) || errors.Is(err, ErrPermission) {
			return nil, err
		}
		if ended := sleep(ctx, pause); ended != nil {
			return nil, fmt.Errorf("%w: %w", ended, err)
		}
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, natsjs.ErrNoStreamResponse) {
			if err := p.findAgain(ctx); err != nil && !isPassing(err) {
				return nil, err
			}
		}
	}
}

// attempt publishes a message once.
func (p *publisher) attempt(ctx context.Context, msg *nats.Msg) (*natsjs.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	ack, err := p.js.PublishMsg(ctx, msg, natsjs.WithRetryAttempts(0))
	if err != nil && isPassing(err) && p.forbidden(msg.Subject) {
		return nil, fmt.Errorf("%w to publish to %s: %w", ErrPermission, msg.Subject, err)
	}
	return ack, err
}

// forbidden reports whether the server said that it does not let us publish to
// a subject: it does not answer the request itself.
func (p *publisher) forbidden(subject string) bool {
	err := p.js.Conn().LastError()
	return errors.Is(err, nats.ErrPermissionViolation) &&
		strings.Contains(strings.ToLower(err.Error()), `publish to "`+strings.ToLower(subject)+`"`)
}
