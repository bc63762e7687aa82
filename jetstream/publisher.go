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

	// header has two numbers: how many points the producer has had stored in the
	// partition before this message, and how many are in it. A producer that
	// notices itself what the server discards has a dash for the first.
	header = "Asyncmetric-Points"
)

// A publisher hands collections over to the stream. What goes to one partition
// goes one after the other, in the order in which send is called. It has no
// goroutine.
type publisher struct {
	js     natsjs.JetStream
	config *config
	id     string // of the producer, the first part of all message ids
	tells  bool   // its messages say what came before

	// repeats says that the caller of send sends a parcel again if the stream has
	// acknowledged only a part of it.
	repeats bool

	follow func(*natsjs.StreamInfo) // called when the stream has been found, without a lock
	sealed <-chan struct{}          // if closed, nothing is repeated; nil: never

	finding chan struct{} // capacity 1: holds a value while the stream is looked for

	mu     sync.Mutex
	stream natsjs.Stream // nil until it has been found
	asked  time.Time     // when it was looked for last, and there was an answer
	wrong  error         // the stream that was found last cannot be used
	lanes  []*lane       // one for each partition; fixed when the stream is found
}

func newPublisher(js natsjs.JetStream, c *config) *publisher {
	return &publisher{js: js, config: c, id: nuid.Next(), tells: true, repeats: true, finding: make(chan struct{}, 1)}
}

// find makes sure that the stream has been found; while no server answers it
// tries again until ctx ends.
func (p *publisher) find(ctx context.Context) error {
	for pause := 10 * time.Millisecond; !p.isFound(); pause = min(2*pause, time.Second) {
		err := p.findAgain(ctx)
		if err == nil || !isPassing(err) {
			return err
		}
		if ended := p.sleep(ctx, pause); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
	return nil
}

// findAgain looks whether the stream is there, and makes it if it has to and
// may. A request that meets a change of leaders is not answered, so it has
// a deadline of its own. Whoever waits while somebody else begins to look has that
// answer.
func (p *publisher) findAgain(ctx context.Context) error {
	called := time.Now()
	if err := acquire(ctx, p.finding, nil); err != nil {
		return err
	}
	defer release(p.finding)
	if p.hasAskedSince(called) {
		return nil
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	s, partitions, err := findStream(ctx, p.js, p.config, p.partitions())
	if err == nil && p.follow != nil {
		p.follow(s.CachedInfo())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && p.lanes != nil && len(p.lanes) != partitions {
		err = fmt.Errorf("%w: it has %d partitions, had %d before", ErrMismatch, partitions, len(p.lanes))
	}
	p.wrong = nil
	if errors.Is(err, ErrMismatch) {
		p.wrong = err
	}
	if err != nil {
		return err
	}
	p.stream, p.asked = s, begun
	for i := len(p.lanes); i < partitions; i++ {
		p.lanes = append(p.lanes, &lane{partition: i, busy: make(chan struct{}, 1)})
	}
	return nil
}

// hasAskedSince reports whether the stream was found, and looked for after an
// instant.
func (p *publisher) hasAskedSince(t time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrong == nil && p.asked.After(t)
}

// sleep waits for d, or returns queue.ErrClosed once the queue is sealed, or the
// error of ctx.
func (p *publisher) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.sealed:
		return queue.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isFound reports whether there is a stream to publish to, as far as is known.
func (p *publisher) isFound() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stream != nil && p.wrong == nil
}

// found returns the stream, nil if it has not been found yet.
func (p *publisher) found() natsjs.Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stream
}

// partitions returns how many there are, 0 before the stream has been found.
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

// pack makes messages of a collection that the server can take, which must be
// known, so it finds the stream first.
func (p *publisher) pack(ctx context.Context, rm *metricdata.ResourceMetrics) (*parcel, error) {
	if err := p.find(ctx); err != nil { // no fault of the collection
		return nil, p.failed(ctx, temporary{err})
	}
	most := int(p.js.Conn().MaxPayload())
	parcel, err := pack(rm, max(most-headerRoom, most/2))
	return parcel, p.config.inStream(err)
}

// An ack is where the stream has a record.
type ack struct {
	partition int
	sequence  uint64
	id        string
}

// send publishes what is in a parcel, and calls stored for each record that the
// stream has acknowledged, with the lane still taken. It repeats what may succeed
// until ctx ends.
func (p *publisher) send(ctx context.Context, parcel *parcel, stored func(record, ack)) error {
	l := p.lane(parcel.resource)
	if err := acquire(ctx, l.busy, p.sealed); err != nil {
		return p.config.inStream(err)
	}
	defer release(l.busy)
	var ids []string
	for _, r := range parcel.records {
		id, counted := l.identify(p.id, r.data)
		answer, err := p.publish(ctx, l, r, id)
		if err != nil {
			if p.repeats {
				for i, id := range ids {
					l.doubt(id, parcel.records[i].data, true)
				}
			}
			return p.failed(ctx, err)
		}
		ids = append(ids, id)
		if !answer.Duplicate {
			if answer.Sequence <= l.last {
				_ = p.findAgain(ctx) // the stream is another one
			}
			l.last = answer.Sequence
		}
		if !counted {
			l.stored += uint64(r.points)
		}
		stored(r, ack{partition: l.partition, sequence: answer.Sequence, id: id})
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
	if isPassing(err) || isFull(err) || errors.As(err, new(temporary)) {
		return temporary{err}
	}
	for _, mended := range []error{ErrNoStream, ErrMismatch, nats.ErrMaxPayload} { // by somebody, or by packing it again
		if errors.Is(err, mended) {
			return temporary{err}
		}
	}
	return err
}

// publish publishes one record, as often as it takes.
func (p *publisher) publish(ctx context.Context, l *lane, r record, id string) (*natsjs.PubAck, error) {
	msg := nats.NewMsg(p.config.partSubject(l.partition))
	msg.Data = r.data
	msg.Header.Set(natsjs.MsgIDHeader, id)
	before := "-"
	if p.tells {
		before = strconv.FormatUint(l.stored, 10)
	}
	msg.Header.Set(header, before+" "+strconv.Itoa(r.points))
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		ack, err := p.attempt(ctx, msg)
		if err == nil {
			l.clear(id)
			return ack, nil
		}
		l.doubt(id, r.data, false)
		if isFull(err) || !isPassing(err) && ctx.Err() == nil || errors.Is(err, ErrPermission) {
			return nil, err
		}
		if ended := p.sleep(ctx, pause); ended != nil {
			if !errors.Is(err, ended) {
				err = fmt.Errorf("%w: %w", ended, err)
			}
			return nil, fmt.Errorf("the stream may have stored it: %w", err)
		}
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, natsjs.ErrNoStreamResponse) {
			if err := p.findAgain(ctx); err != nil && !isPassing(err) {
				return nil, temporary{err}
			}
		}
	}
}

// attempt publishes a message once.
func (p *publisher) attempt(ctx context.Context, msg *nats.Msg) (*natsjs.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	before := p.js.Conn().LastError()
	ack, err := p.js.PublishMsg(ctx, msg, natsjs.WithRetryAttempts(0))
	if err != nil && isPassing(err) && p.forbidden(msg.Subject, before) {
		return nil, fmt.Errorf("%w to publish to %s: %w", ErrPermission, msg.Subject, err)
	}
	return ack, err
}

// forbidden reports whether the server has said, since before was its last
// error, that it does not let us publish to a subject: it does not answer the
// request itself.
func (p *publisher) forbidden(subject string, before error) bool {
	err := p.js.Conn().LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && err != before &&
		strings.Contains(strings.ToLower(err.Error()), `publish to "`+strings.ToLower(subject)+`"`)
}
