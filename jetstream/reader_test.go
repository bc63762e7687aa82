package jetstream

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/queue"
)

// aReader returns a reader of partition 0 that nobody runs, and a message that somebody else has got.
func aReader(t *testing.T) (*reader, *nats.Msg) {
	t.Helper()
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, PublishOnly(), WithPartitions(1))
	r := &reader{queue: q}
	require.NoError(t, r.find(t.Context()))
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 1)))
	p, err := newPull(js.Conn(), pullSubject(js, "ASYNCMETRIC", consumerName(0)), pullRequest{Expires: time.Second, Batch: 1, Group: group})
	require.NoError(t, err)
	msg, err := p.next(t.Context(), patience, nil)
	require.NoError(t, err)
	require.NotNil(t, msg)
	p.close()
	return r, msg
}

func TestAConsumerThatIsBehindIsLookedForAgain(t *testing.T) {
	r, msg := aReader(t)
	r.delivered = 1 << 40
	require.ErrorIs(t, r.receive(msg, time.Now()), errBehind)
}

func TestANewPinIsDoubted(t *testing.T) {
	r, msg := aReader(t)
	r.part().clear = true
	require.NoError(t, r.receive(msg, time.Now().Add(time.Minute)))
	assert.False(t, r.isClear(), "whoever was pinned before may have something")
}

func TestAPartitionIsClearOnceNobodyElseHasAnythingOfIt(t *testing.T) {
	r, msg := aReader(t)
	require.NoError(t, r.check(t.Context()))
	require.False(t, r.isClear(), "somebody else has one")
	r.base = 7
	require.ErrorIs(t, r.check(t.Context()), errRemade)
	r.base = 0
	require.NoError(t, r.queue.ack(&entry{reply: msg.Reply}))
	require.NoError(t, r.check(t.Context()))
	require.True(t, r.isClear())
}

func TestWhatHasLapsedMakesRoom(t *testing.T) {
	r, _ := aReader(t)
	l := &r.queue.ledger
	for i := range uint64(window) {
		if i == window-5 {
			assert.Equal(t, 5, r.room().Batch, "what others have has to come")
			l.parts[0].clear = true
			r.asked = time.Now()
			assert.Zero(t, r.room().Batch, "it is not worth a request")
			l.parts[0].clear, r.asked = false, time.Time{}
		}
		l.hold(&entry{position: i + 1, lease: time.Now().Add(time.Minute)})
	}
	l.parts[0].clear = true
	assert.Equal(t, pullRequest{Batch: 1}, r.room(), "it stays pinned")
	for i := range uint64(window) {
		l.hold(&entry{position: window + i + 1})
	}
	assert.Zero(t, r.room().Batch, "memory has a bound")
	l.parts[0].clear = false
	assert.Zero(t, r.room().Batch, "always")
	r.largest = 1
	request, err := r.awaitRoom(t.Context())
	require.NoError(t, err)
	assert.Equal(t, window, request.Batch, "what has lapsed is let go of")
}

func TestAReaderThatStopsGivesBackAndKnowsItsPin(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, PublishOnly(), WithPartitions(1))
	_, err := findConsumer(t.Context(), js, &q.config, 0)
	require.NoError(t, err)
	p, err := newPull(js.Conn(), pullSubject(js, "ASYNCMETRIC", consumerName(0)), pullRequest{Expires: 500 * time.Millisecond, Batch: 1, Group: group})
	require.NoError(t, err)
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 1, 1)))
	r := &reader{queue: q}
	r.endPull(p)
	assert.NotEmpty(t, r.pin, "it knows what it has to give up")
	again, err := newPull(js.Conn(), pullSubject(js, "ASYNCMETRIC", consumerName(0)), pullRequest{Expires: time.Second, Batch: 1, Group: group, Pin: r.pin})
	require.NoError(t, err)
	defer again.close()
	msg, err := again.next(t.Context(), time.Second, nil)
	require.NoError(t, err)
	assert.NotNil(t, msg, "R9: it was given back")
}

func TestAReaderIsWaitedFor(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, PublishOnly())
	r, err := newRoster(q)
	require.NoError(t, err)
	defer func() { _ = r.sub.Unsubscribe() }()
	ended := make(chan struct{})
	var over atomic.Bool
	r.readers[0] = &reader{done: ended, stop: func() {
		go func() {
			over.Store(true)
			close(ended)
		}()
	}}
	r.keepReaders(t.Context(), func(int) bool { return false })
	assert.True(t, over.Load())
	assert.Empty(t, r.readers)
}

func TestALostPinIsNoTrouble(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, o := open(t, js, quick, WithPartitions(1))
	app := newExporter(t, js)
	for i := range 3 {
		handOver(t, app, 1, i, 1)
		require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
		require.NoError(t, q.publisher.found().UnpinConsumer(t.Context(), consumerName(0), group))
	}
	assert.NoError(t, o.failures())
}

func TestRelaysThatLeaveOrAreSilentAreForgotten(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	r, err := newRoster(q)
	require.NoError(t, err)
	require.NoError(t, r.sub.Unsubscribe())
	other := nuid.Next()
	r.hear(other + here)
	require.Len(t, r.others, 1)
	r.hear(other + bye)
	require.Empty(t, r.others)
	r.hear(other + here)
	r.forget(time.Now().Add(q.config.takeover/2 + time.Millisecond))
	assert.Empty(t, r.others)

	sub, err := js.Conn().SubscribeSync("asyncmetric.relays")
	require.NoError(t, err)
	require.NoError(t, js.Conn().Flush())
	require.NoError(t, q.Close())
	for {
		msg, err := sub.NextMsg(time.Second)
		require.NoError(t, err, "it says that it leaves")
		if strings.HasSuffix(string(msg.Data), bye) {
			return
		}
	}
}
