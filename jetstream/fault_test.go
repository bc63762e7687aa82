package jetstream

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

func TestADeletedStreamIsMadeAgain(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, o := open(t, js, quick, WithPartitions(1))
	for i := range int64(3) {
		require.NoError(t, q.Put(t.Context(), ofProcess(0, 2, i)))
	}
	inFlight := take(t, q)
	require.NoError(t, js.DeleteStream(t.Context(), "ASYNCMETRIC"))

	require.NoError(t, q.Put(waiting(t), ofProcess(0, 2, 3)))
	require.Greater(t, q.Stats().Last, inFlight.Position(), "positions grow")
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonCorrupt: 4}, o.dropped(), "what was in the stream")
	e := take(t, q)
	assert.Equal(t, q.Stats().Last, e.Position())
	require.NoError(t, inFlight.Settle(queue.Outcome{Exported: 2}))
	backlog, err := q.Backlog(t.Context())
	require.NoError(t, err)
	assert.Equal(t, uint64(1), backlog.Messages, "what has the same number in the new stream is there")
	require.NoError(t, e.Settle(queue.Outcome{Exported: 2}))
	requireConserved(t, q)
	assert.Zero(t, q.Stats().Queued)
}

func TestAMissingStreamThatMustExistIsAnError(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	_, err := Open(t.Context(), js, WithExistingStream())
	require.ErrorIs(t, err, ErrNoStream)

	q, _ := open(t, js)
	user, _ := open(t, js, WithExistingStream(), PublishOnly())
	require.NoError(t, user.Put(t.Context(), ofProcess(0, 1, 1)))
	_, err = Open(t.Context(), js, WithPartitions(5))
	require.ErrorIs(t, err, ErrMismatch)
	_, err = Open(t.Context(), js, WithSubject("other"))
	require.ErrorIs(t, err, ErrMismatch)
	require.NoError(t, q.Close())
	require.NoError(t, js.DeleteStream(t.Context(), "ASYNCMETRIC"))
	err = user.Put(waiting(t), ofProcess(0, 1, 1))
	require.ErrorIs(t, err, ErrNoStream)
	require.ErrorContains(t, err, "ASYNCMETRIC")
	assert.True(t, isRetried(err), "it may be made again")
}

func TestRelaysAgreeOnTheTakeover(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	first, _ := open(t, js, quick, WithPartitions(1))
	require.NoError(t, first.Put(t.Context(), ofProcess(0, 1, 1)))
	require.NoError(t, take(t, first).Settle(queue.Outcome{Exported: 1}))
	second, _ := open(t, js, WithTakeover(time.Minute))
	assert.Equal(t, 2*time.Second, second.config.takeover)
}

func TestAConsumerThatDoesNotKeepTheOrderIsReported(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	app := newExporter(t, js, WithPartitions(1))
	handOver(t, app, 1, 0, 1)
	consumer := natsjs.ConsumerConfig{
		Durable: consumerName(0), FilterSubject: "asyncmetric.part.0", AckPolicy: natsjs.AckExplicitPolicy, AckWait: 5 * time.Second,
	}
	_, err := js.CreateConsumer(t.Context(), "ASYNCMETRIC", consumer)
	require.NoError(t, err)
	q, o := open(t, js)
	eventually(t, func() bool { return o.failures() != nil }, "it is reported")
	require.ErrorIs(t, o.failures(), ErrMismatch)
	require.ErrorContains(t, o.failures(), "relay-0 has no pinned clients, and messages in flight 1000, must be 1")
	require.NoError(t, js.DeleteConsumer(t.Context(), "ASYNCMETRIC", consumerName(0)))
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
}

func TestAFullStreamIsAClearError(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	bound := WithMaxBytes(4000)
	e := newExporter(t, js, bound)
	var err error
	for i := int64(0); err == nil; i++ {
		err = e.Export(t.Context(), ofProcess(0, 1, i))
	}
	require.ErrorIs(t, err, queue.ErrFull)
	require.ErrorContains(t, err, "ASYNCMETRIC")
	assert.True(t, isRetried(err), "there may be room later")

	q, o := open(t, js, bound)
	require.ErrorIs(t, q.Put(t.Context(), ofProcess(0, 5, 1)), queue.ErrFull)
	assert.Empty(t, o.dropped())
	assert.Zero(t, q.Stats().Accepted, "what is refused is in no counter")
	taken := take(t, q)
	require.NoError(t, taken.Settle(queue.Outcome{Exported: 1}))
	require.NoError(t, e.Export(t.Context(), ofProcess(0, 1, 99)), "an end makes room")
}

func TestWhatTheServerDiscardsIsCountedByWhoeverDelivers(t *testing.T) {
	const n = 5 * window
	url := startServer(t, nil).ClientURL()
	opts := []Option{quick, WithMaxBytes(4000), WithOverflow(queue.DropOldest), WithPartitions(1)}
	e := newExporter(t, connect(t, url), opts...)
	relay, o := open(t, connect(t, url), opts...)
	require.NoError(t, e.Export(t.Context(), ofProcess(0, 2, 0)))
	require.NoError(t, take(t, relay).Settle(queue.Outcome{Exported: 2}))
	for i := range int64(n) { // the relay receives what it may have in hand, and no more
		require.NoError(t, e.Export(t.Context(), ofProcess(0, 2, i+1)))
	}
	assert.Empty(t, o.dropped())
	var last int64
	for taken := 2; taken+o.dropped()[queue.ReasonOverflow] < 2*(n+1); taken += 2 {
		e := take(t, relay)
		last = metrictest.Value(e.Collection())
		require.NoError(t, e.Settle(queue.Outcome{Exported: 2}))
		requireConserved(t, relay)
	}
	assert.Equal(t, int64(n), last)
	assert.Positive(t, o.dropped()[queue.ReasonOverflow])
	s := relay.Stats()
	assert.Equal(t, uint64(2*(n+1)), s.Exported+s.Dropped)
	require.ErrorIs(t, o.drops[0].Err, ErrDiscarded)
	require.ErrorIs(t, o.drops[0].Err, queue.ErrFull)
}

func TestGarbageAndRecordsOfANewerReleaseAreSetAside(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, o := open(t, js, WithPartitions(1))
	newer, err := frame.Append(nil, []byte("data"))
	require.NoError(t, err)
	newer[0] = frame.Version + 1
	noOTLP, err := frame.Append(nil, []byte{0xff})
	require.NoError(t, err)
	letters := [][]byte{[]byte("garbage"), newer, noOTLP, nil}
	for _, data := range letters {
		_, err := js.Publish(t.Context(), "asyncmetric.part.0", data)
		require.NoError(t, err)
	}
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 1, 7)))
	e := take(t, q)
	assert.Equal(t, uint64(5), e.Position(), "delivery goes on")
	require.NoError(t, e.Settle(queue.Outcome{Exported: 1}))
	awaitEmpty(t, q)
	assert.ErrorIs(t, o.failures(), frame.ErrVersion)
	assert.ErrorIs(t, o.failures(), frame.ErrCorrupt)

	dead, err := js.Stream(t.Context(), "ASYNCMETRIC_DEAD")
	require.NoError(t, err)
	for i, data := range letters {
		letter, err := dead.GetMsg(t.Context(), uint64(i+1))
		require.NoError(t, err)
		assert.Equal(t, string(data), string(letter.Data))
		assert.NotEmpty(t, letter.Header.Get(headerReason))
	}
}

func TestADeadLetterThatCannotBeSetAsideHoldsUpNothing(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	require.NoError(t, newExporter(t, js, WithPartitions(1)).publisher.find(t.Context()))
	q, o := open(t, js, quick, WithExistingStream()) // so it may not make the one for dead letters
	_, err := js.Publish(t.Context(), "asyncmetric.part.0", []byte("garbage"))
	require.NoError(t, err)
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 1, 7)))
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 1}))
	eventually(t, func() bool { return o.failures() != nil }, "it is reported")
	c := q.config
	c.existing = false
	require.NoError(t, makeDeadStream(t.Context(), js, &c, q.publisher.found().CachedInfo()))
	awaitEmpty(t, q)
}

func TestWithoutPermissionPutSaysSoAtOnce(t *testing.T) {
	url := startServer(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "reader", Password: "r", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"asyncmetric.part.>"}},
			}},
		}
	}).ClientURL()
	admin := connect(t, "nats://admin:a@"+url[len("nats://"):])
	_, _ = open(t, admin)
	q, _ := open(t, connect(t, "nats://reader:r@"+url[len("nats://"):]), WithExistingStream(), PublishOnly())
	err := q.Put(context.Background(), ofProcess(0, 1, 1))
	require.ErrorIs(t, err, ErrPermission)
	require.ErrorContains(t, err, "asyncmetric.part.")
	requireConserved(t, q)
}

// leaseOf returns until when the server gives an entry to nobody else.
func (q *Queue) leaseOf(e queue.Entry) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return e.(*entry).lease
}

func TestTheDocumentedPermissionsSuffice(t *testing.T) {
	inbox := []string{"_INBOX.>"}
	url := startServer(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "application", Password: "a", Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: []string{"asyncmetric.part.*", "$JS.API.STREAM.INFO.ASYNCMETRIC"}},
				Subscribe: &server.SubjectPermission{Allow: inbox},
			}},
			{Username: "relay", Password: "r", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{
					"$JS.API.STREAM.*.ASYNCMETRIC", "$JS.API.STREAM.*.ASYNCMETRIC_DEAD", "$JS.API.CONSUMER.>",
					"$JS.ACK.ASYNCMETRIC.>", "asyncmetric.dead", "asyncmetric.relays",
				}},
				Subscribe: &server.SubjectPermission{Allow: append(inbox, "asyncmetric.relays")},
			}},
		}
	}).ClientURL()[len("nats://"):]
	q, o := open(t, connect(t, "nats://relay:r@"+url))
	app := newExporter(t, connect(t, "nats://application:a@"+url), WithExistingStream())
	handOver(t, app, 4, 0, 2)
	for range 8 {
		require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	}
	require.NoError(t, q.Close())
	require.NoError(t, q.js.Conn().LastError())
	require.NoError(t, o.failures())
}

func TestASlowConsumerLosesNothing(t *testing.T) {
	const n = 3 * window
	url := startServer(t, nil).ClientURL()
	handOver(t, newExporter(t, connect(t, url), quick, WithPartitions(1)), 1, 0, n)
	b := newBackend()
	q, _ := open(t, connect(t, url), quick)
	e := take(t, q)
	first := q.leaseOf(e)
	eventually(t, func() bool { return q.leaseOf(e).After(first.Add(2 * q.config.takeover)) }, "its time is extended")
	b.receive(e.Collection())
	require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	for range n - 1 {
		e := take(t, q)
		b.receive(e.Collection())
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
	assert.Zero(t, b.await(t, 1, n))
	info, err := q.js.Consumer(t.Context(), "ASYNCMETRIC", consumerName(0))
	require.NoError(t, err)
	assert.Equal(t, uint64(n), info.CachedInfo().Delivered.Consumer, "deliveries, none of them repeated")
}
