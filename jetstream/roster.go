package jetstream

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// What relays tell each other, behind their id.
const (
	here = " here"
	bye  = " bye"
)

// untilDone is how often a queue that is sealed is asked whether it has done.
const untilDone = 50 * time.Millisecond

// maxRelays is how many others a relay has in mind: more are of no use, and
// anybody who may publish can pretend to be some.
const maxRelays = 4 * maxPartitions

// A roster knows which relays there are, and starts and stops the readers of
// the partitions that are the share of this one. All relays that know the same
// of each other divide alike: partition p belongs to the relay at p modulo their
// number, in the order of their ids.
type roster struct {
	queue   *Queue
	id      string
	others  map[string]time.Time // when they were heard of last
	readers map[int]*reader      // by partition
	heard   chan *nats.Msg
	sub     *nats.Subscription

	announced chan struct{} // closed when announce has ended
}

// newRoster listens to the others already: they answer who is new.
func newRoster(q *Queue) (*roster, error) {
	r := &roster{
		queue:   q,
		id:      nuid.Next(),
		others:  make(map[string]time.Time),
		readers: make(map[int]*reader),
		heard:   make(chan *nats.Msg, 256),

		announced: make(chan struct{}),
	}
	var err error
	r.sub, err = q.js.Conn().ChanSubscribe(q.config.relaysSubject(), r.heard)
	return r, err
}

// run is the goroutine. After Seal, readers stop as soon as nothing that this
// queue has put waits any more, so that others go on even if a delivery under way
// takes its time.
func (r *roster) run() {
	ctx := r.queue.ctx
	defer func() { _ = r.sub.Unsubscribe() }()
	tick := time.NewTicker(r.queue.config.takeover / 8)
	defer tick.Stop()
	sealing := r.queue.sealing
	for !r.hasDone() {
		r.keepReaders(ctx, r.share())
		select {
		case <-ctx.Done():
		case <-sealing:
			sealing = nil // once is enough
			tick.Reset(untilDone)
		case <-tick.C:
			r.forget(time.Now())
		case msg := <-r.heard:
			r.hear(string(msg.Data))
		}
	}
	r.keepReaders(ctx, func(int) bool { return false })
	<-r.announced
	r.say(bye)
}

func (r *roster) hasDone() bool { return r.queue.ctx.Err() != nil || r.queue.hasDone() }

// announce is a goroutine of its own: the other one may have to wait for readers.
func (r *roster) announce() {
	defer close(r.announced)
	tick := time.NewTicker(r.queue.config.takeover / 8)
	defer tick.Stop()
	sealing := r.queue.sealing
	for !r.hasDone() {
		r.say(here)
		select {
		case <-r.queue.ctx.Done():
		case <-sealing:
			sealing = nil
			tick.Reset(untilDone)
		case <-tick.C:
		}
	}
}

// say tells the other relays. Where that fails they take this one for dead.
func (r *roster) say(what string) {
	_ = r.queue.js.Conn().Publish(r.queue.config.relaysSubject(), []byte(r.id+what))
}

// hear notes what another relay said.
func (r *roster) hear(what string) {
	if id, ok := strings.CutSuffix(what, bye); ok {
		delete(r.others, id)
		return
	}
	id, ok := strings.CutSuffix(what, here)
	if !ok || id == r.id || !isID.MatchString(id) {
		return
	}
	_, known := r.others[id]
	if !known && len(r.others) >= maxRelays {
		return
	}
	r.others[id] = time.Now()
	if !known {
		r.say(here) // it cannot know of us yet
	}
}

// forget removes the relays that have not been heard of for long.
func (r *roster) forget(now time.Time) {
	for id, heard := range r.others {
		if now.Sub(heard) > r.queue.config.takeover/2 {
			delete(r.others, id)
		}
	}
}

// share returns which partitions this relay delivers.
func (r *roster) share() func(partition int) bool {
	ids := []string{r.id}
	for id := range r.others {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	mine := slices.Index(ids, r.id)
	return func(partition int) bool { return partition%len(ids) == mine }
}

// keepReaders starts and stops readers, and waits for those that it stops.
func (r *roster) keepReaders(ctx context.Context, wanted func(partition int) bool) {
	for p, reader := range r.readers {
		if !wanted(p) {
			reader.stop()
		}
	}
	for p, reader := range r.readers {
		if !wanted(p) {
			<-reader.done
			delete(r.readers, p)
		}
	}
	for p := range r.queue.publisher.partitions() {
		if wanted(p) && r.readers[p] == nil && ctx.Err() == nil {
			r.readers[p] = r.start(ctx, p)
		}
	}
}

func (r *roster) start(ctx context.Context, partition int) *reader {
	ctx, stop := context.WithCancel(ctx)
	reader := &reader{queue: r.queue, partition: partition, stop: stop, done: make(chan struct{})}
	go reader.run(ctx)
	return reader
}
