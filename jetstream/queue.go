package jetstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/asyncmetric/asyncmetric/queue"
)

// Queue is a [queue.Queue] in a stream of JetStream. Make one with [Open]; it
// must be closed, which the exporter that it is given to does at Shutdown. The
// connection belongs to the caller, and must outlive the queue. All methods
// are safe for concurrent use.
//
// Each partition that is this relay's share has a reader, a goroutine that owns
// its consumer and receives what the server sends. The membership has two
// goroutines: one starts and stops the readers as relays come and go, and one
// tells the others of this relay. A third one extends the leases of what has been
// received, in a goroutine for each partition while that takes, and a fourth one
// looks for what others have ended. Open starts these four, and Close waits for
// them, and the membership for the readers. With [PublishOnly] there are none. The
// Queue holds no lock while it sends, receives, encodes or waits, or calls a
// function of the observer.
type Queue struct {
	js        natsjs.JetStream
	config    config
	info      queue.Info
	publisher *publisher
	ready     chan struct{} // capacity 1

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // all goroutines but the readers
	sealing chan struct{}  // closed by Seal
	closing sync.Once

	mu       sync.Mutex
	ledger   ledger
	created  time.Time     // of the stream
	discards bool          // the stream
	arrival  chan struct{} // closed, and made anew, when something changes that Take may wait for
	putting  int           // calls of Put under way
	sealed   bool

	closed  bool // readers and leases have ended
	notices queue.Notices
}

var _ queue.Queue = (*Queue)(nil)

// Open opens the queue in a stream, and makes stream and consumers if they are
// not there, unless [WithExistingStream] forbids that for the stream. It needs
// the server, and waits for it as long as ctx allows. Nothing of the stream is
// counted before it has been taken.
//
// The error wraps [ErrInvalidOption], [ErrNoStream] or [ErrMismatch], or is that
// of the server, or of ctx.
func Open(ctx context.Context, js natsjs.JetStream, opts ...Option) (*Queue, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	if js == nil {
		return nil, invalid("JetStream is nil")
	}
	q := &Queue{
		js: js, config: c, ready: make(chan struct{}, 1), arrival: make(chan struct{}), sealing: make(chan struct{}),
	}
	q.publisher = newPublisher(js, &q.config)
	if err := q.publisher.find(ctx); err != nil {
		return nil, c.inStream(err)
	}
	info := q.publisher.found().CachedInfo()
	q.created, q.discards = info.Created, overflowOf(info) == queue.DropOldest
	q.info = queue.Info{Durable: true, MaxBytes: max(info.Config.MaxBytes, 0), Overflow: overflowOf(info)}
	q.publisher.follow, q.publisher.tells, q.publisher.sealed = q.follow, c.publishOnly, q.sealing
	q.publisher.repeats = false
	q.ledger = newLedger(q.publisher.partitions())
	q.ctx, q.cancel = context.WithCancel(context.Background())
	if c.publishOnly {
		return q, nil
	}
	err = attempts(ctx, func(ctx context.Context) (err error) {
		q.config.takeover, err = takeoverOf(ctx, js, &c)
		return err
	})
	if err != nil {
		return nil, c.inStream(err)
	}
	if err := makeDeadStream(ctx, js, &q.config, info); err != nil {
		q.fail(fmt.Errorf("making the stream for dead letters: %w", err)) // it is tried again when there is one
	}
	r, err := newMembership(q)
	if err != nil {
		return nil, c.inStream(err)
	}
	q.running.Go(r.run)
	q.running.Go(r.announce)
	q.running.Go(q.extendLeases)
	q.running.Go(q.watch)
	return q, nil
}

// Start implements [queue.Queue]. The goroutines run since [Open]: what they
// receive before Start waits for Take.
func (q *Queue) Start(o queue.Observer) error {
	if err := q.start(o); err != nil {
		return err
	}
	q.tell()
	return nil
}

func (q *Queue) start(o queue.Observer) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.notices.Started():
		return queue.ErrInUse
	case q.ctx.Err() != nil:
		return queue.ErrClosed
	}
	q.notices.Start(o)
	return nil
}

// tell tells the observer what it has not heard yet. The caller does not hold
// the lock.
func (q *Queue) tell() {
	if q.notices.Tell(&q.mu) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.signal()
	}
}

// fail tells the observer of an error. The caller does not hold the lock.
func (q *Queue) fail(err error) {
	q.mu.Lock()
	q.notices.Failed(q.config.inStream(err))
	q.mu.Unlock()
	q.tell()
}

// Ready implements [queue.Queue].
func (q *Queue) Ready() <-chan struct{} { return q.ready }

// signal says that there may be something to take, or that the oldest entry is
// another one. The caller holds the lock.
func (q *Queue) signal() {
	close(q.arrival)
	q.arrival = make(chan struct{})
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// Stats implements [queue.Queue]. It is about what this Queue has put and
// taken; see the package documentation. Last is the position of the newest
// collection that this Queue has put.
func (q *Queue) Stats() queue.Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.ledger.stats
	if len(q.ledger.line) > 0 {
		oldest := q.ledger.line[0]
		s.Oldest, s.First = oldest.accepted, oldest.position
	}
	s.First, s.Last = q.notices.First(s.First), q.ledger.last
	return s
}

// Info implements [queue.Queue]. It is about the stream as it was when the queue
// was opened. The bound is in bytes, and is that of the stream. How many bytes it
// has is not in Stats: others put into it too, and only the server knows.
func (q *Queue) Info() queue.Info { return q.info }

// Seal implements [queue.Queue].
func (q *Queue) Seal() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.sealed {
		q.sealed = true
		close(q.sealing)
	}
	q.signal()
}

// hasDone reports whether a queue that is sealed has nothing of its own to wait
// for: others may have its partitions.
func (q *Queue) hasDone() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sealed && q.putting == 0 && q.ledger.waiting == 0
}

// Close implements [queue.Queue]. What has been received and waits is given back
// to the stream, for another relay to deliver. What is in flight stays this
// relay's until it is settled or returned, or until its time is over. Close waits
// for the goroutines, which takes no longer than a few requests to a server that
// answers, and a few seconds if none does.
func (q *Queue) Close() error {
	q.closing.Do(func() {
		q.Seal()
		q.cancel()
		q.running.Wait()
		q.nak(q.endTaking())
		q.tell()
	})
	return nil
}

// endTaking lets go of what is still held, where no reader has: what was returned
// of a partition that another relay delivers now. It returns where to give it
// back.
func (q *Queue) endTaking() (replies []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for p := range q.ledger.parts {
		replies = append(replies, q.ledger.letGo(p)...)
	}
	q.signal()
	return replies
}

// nak gives messages back. It does not wait for the server: where that does not
// hear of it, their time runs out.
func (q *Queue) nak(replies []string) {
	for _, reply := range replies {
		_ = q.js.Conn().Publish(reply, []byte("-NAK"))
	}
}

// A Backlog is what the whole stream has, whichever process has put it.
type Backlog struct {
	// Messages is how many have not ended, Bytes their size.
	Messages, Bytes uint64
	// Oldest is when the first of them was stored; zero if there is none.
	Oldest time.Time
}

// Backlog asks the server what is in the stream.
func (q *Queue) Backlog(ctx context.Context) (Backlog, error) {
	info, err := q.publisher.found().Info(ctx)
	if err != nil {
		return Backlog{}, q.config.inStream(err)
	}
	b := Backlog{Messages: info.State.Msgs, Bytes: info.State.Bytes}
	if b.Messages > 0 {
		b.Oldest = info.State.FirstTime
	}
	return b, nil
}
