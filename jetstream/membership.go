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

// A membership knows which relays there are, and starts and stops the readers of
// the partitions that are the share of this one. All relays that know the same
// of each other divide alike: partition p belongs to the relay at p modulo their
// number, in the order of their ids.
type membership struct {
	queue   *Queue
	id      string
	others  map[string]time.Time // when they were heard of last
	readers map[int]*reader      // by partition
	heard   chan *nats.Msg
	sub     *nats.Subscription

	announced chan struct{} // closed when announce has ended
}

// newMembership listens to the others already: they answer who is new.
func newMembership(q *Queue) (*membership, error) {
	m := &membership{
		queue:   q,
		id:      nuid.Next(),
		others:  make(map[string]time.Time),
		readers: make(map[int]*reader),
		heard:   make(chan *nats.Msg, 256),

		announced: make(chan struct{}),
	}
	var err error
	m.sub, err = q.js.Conn().ChanSubscribe(q.config.relaysSubject(), m.heard)
	return m, err
}

// run is the goroutine. After Seal, readers stop as soon as nothing that this
// queue has put waits any more, so that others go on even if a delivery under way
// takes its time.
func (m *membership) run() {
	ctx := m.queue.ctx
	defer func() { _ = m.sub.Unsubscribe() }()
	tick := time.NewTicker(m.queue.config.takeover / 8)
	defer tick.Stop()
	sealing := m.queue.sealing
	for !m.hasDone() {
		m.keepReaders(ctx, m.share())
		select {
		case <-ctx.Done():
		case <-sealing:
			sealing = nil // once is enough
			tick.Reset(untilDone)
		case <-tick.C:
			m.forget(time.Now())
		case msg := <-m.heard:
			m.hear(string(msg.Data))
		}
	}
	m.keepReaders(ctx, func(int) bool { return false })
	<-m.announced
	m.say(bye)
}

func (m *membership) hasDone() bool { return m.queue.ctx.Err() != nil || m.queue.hasDone() }

// announce is a goroutine of its own: the other one may have to wait for readers.
func (m *membership) announce() {
	defer close(m.announced)
	tick := time.NewTicker(m.queue.config.takeover / 8)
	defer tick.Stop()
	sealing := m.queue.sealing
	for !m.hasDone() {
		m.say(here)
		select {
		case <-m.queue.ctx.Done():
		case <-sealing:
			sealing = nil
			tick.Reset(untilDone)
		case <-tick.C:
		}
	}
}

// say tells the other relays. Where that fails they take this one for dead.
func (m *membership) say(what string) {
	_ = m.queue.js.Conn().Publish(m.queue.config.relaysSubject(), []byte(m.id+what))
}

// hear notes what another relay said.
func (m *membership) hear(what string) {
	if id, ok := strings.CutSuffix(what, bye); ok {
		delete(m.others, id)
		return
	}
	id, ok := strings.CutSuffix(what, here)
	if !ok || id == m.id || !isID.MatchString(id) {
		return
	}
	_, known := m.others[id]
	if !known && len(m.others) >= maxRelays {
		return
	}
	m.others[id] = time.Now()
	if !known {
		m.say(here) // it cannot know of us yet
	}
}

// forget removes the relays that have not been heard of for long.
func (m *membership) forget(now time.Time) {
	for id, heard := range m.others {
		if now.Sub(heard) > m.queue.config.takeover/2 {
			delete(m.others, id)
		}
	}
}

// share returns which partitions this relay delivers.
func (m *membership) share() func(partition int) bool {
	ids := []string{m.id}
	for id := range m.others {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	mine := slices.Index(ids, m.id)
	return func(partition int) bool { return partition%len(ids) == mine }
}

// keepReaders starts and stops readers, and waits for those that it stops.
func (m *membership) keepReaders(ctx context.Context, wanted func(partition int) bool) {
	for p, reader := range m.readers {
		if !wanted(p) {
			reader.stop()
		}
	}
	for p, reader := range m.readers {
		if !wanted(p) {
			<-reader.done
			delete(m.readers, p)
		}
	}
	for p := range m.queue.publisher.partitions() {
		if wanted(p) && m.readers[p] == nil && ctx.Err() == nil {
			m.readers[p] = m.start(ctx, p)
		}
	}
}

func (m *membership) start(ctx context.Context, partition int) *reader {
	ctx, stop := context.WithCancel(ctx)
	reader := &reader{queue: m.queue, partition: partition, stop: stop, done: make(chan struct{})}
	go reader.run(ctx)
	return reader
}
