package jetstream

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// Whoever may publish can send anything.

// publish publishes a message to partition 0 with headers, in pairs.
func publish(t *testing.T, js natsjs.JetStream, data []byte, headers ...string) {
	t.Helper()
	msg := nats.NewMsg("asyncmetric.part.0")
	msg.Data = data
	for i := 0; i < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	_, err := js.PublishMsg(t.Context(), msg)
	require.NoError(t, err)
}

func deadLetters(t *testing.T, js natsjs.JetStream) uint64 {
	t.Helper()
	dead, err := js.Stream(t.Context(), "ASYNCMETRIC_DEAD")
	require.NoError(t, err)
	return dead.CachedInfo().State.Msgs
}

func TestAMessageThatPosesAsAnAnswerIsSetAside(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	for _, status := range []string{"100", "400", "404", "408", "409", "423", "503"} {
		publish(t, js, nil, "Status", status)
	}
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 1, 7)))
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 1}))
	awaitEmpty(t, q)
	assert.Equal(t, uint64(7), deadLetters(t, js))
}

func TestADataBombIsSetAside(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, o := open(t, js, quick, WithPartitions(1))
	bomb, err := frame.Append(nil, bytes.Repeat([]byte{0x12, 0}, maxData)) // as many empty scopes
	require.NoError(t, err)
	publish(t, js, bomb)
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 1, 7)))
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 1}))
	awaitEmpty(t, q)
	assert.Equal(t, uint64(1), deadLetters(t, js))
	require.ErrorIs(t, o.failures(), frame.ErrTooLarge)
}

func TestACollectionWithMuchDataIsSplit(t *testing.T) {
	rm := metrictest.Numbers(200_000, 1) // compresses well
	p, err := pack(rm, 1<<30)
	require.NoError(t, err)
	require.Greater(t, len(p.records), 1)
	points := 0
	for _, r := range p.records {
		part, err := frame.DecodeCollection(r.data, maxData)
		require.NoError(t, err)
		require.NotEmpty(t, part.ScopeMetrics)
		points += r.points
	}
	assert.Equal(t, 200_000, points)
}

func TestForgedNumbersAreNotBelieved(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, o := open(t, js, quick, WithPartitions(1))
	record, err := frame.EncodeCollection(ofProcess(0, 1, 1), maxData)
	require.NoError(t, err)
	producer := nuid.Next()
	for _, m := range []struct{ id, points string }{
		{producer + ".0.1", "0 1"},
		{producer + ".0.2", "1000 1"}, // nothing is missing in between
		{producer + ".0.9", fmt.Sprint(uint64(math.MaxUint64)) + " 1"},
		{producer + ".0.x", "1000 1"},
		{strings.Repeat("x", 1000) + ".0.3", "5 1"},
		{"", "7 1"},
	} {
		publish(t, js, record, natsjs.MsgIDHeader, m.id, header, m.points)
		require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 1}))
	}
	assert.Empty(t, o.dropped())
	requireConserved(t, q)
	q.mu.Lock()
	defer q.mu.Unlock()
	for name := range q.ledger.parts[0].seen {
		assert.Len(t, name, len(producer))
	}
}

func TestStrangersTakeNoShare(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(2))
	r, err := newRoster(q)
	require.NoError(t, err)
	require.NoError(t, r.sub.Unsubscribe())
	for _, what := range []string{"0 here", " here", "x", strings.Repeat("x", 1<<20) + " here"} {
		r.hear(what)
	}
	assert.Empty(t, r.others)
	for range maxRelays + 1 {
		r.hear(nuid.Next() + here)
	}
	assert.Len(t, r.others, maxRelays)
	r.forget(time.Now().Add(time.Hour))
	assert.Empty(t, r.others)
}

func TestALetterAsLargeAsAMessageMayBeIsCutShort(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	size := int(js.Conn().MaxPayload())
	publish(t, js, make([]byte, size-100), "Some", "header")
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 1, 7)))
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 1}))
	awaitEmpty(t, q)
	dead, err := js.Stream(t.Context(), "ASYNCMETRIC_DEAD")
	require.NoError(t, err)
	letter, err := dead.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprint(size-100), letter.Header.Get(headerSize))
	assert.Len(t, letter.Data, size-headerRoom)
}

func TestManyLettersWithoutAStreamForThemHoldUpNothing(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	require.NoError(t, js.DeleteStream(t.Context(), "ASYNCMETRIC_DEAD"))
	for range window {
		publish(t, js, []byte("garbage"))
	}
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 1, 7)))
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 1}))
	awaitEmpty(t, q)
	assert.Equal(t, uint64(window), deadLetters(t, js), "it was made again")
}

func TestAForgedPinDoesNotStopAPartition(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, WithTakeover(5*time.Minute), WithPartitions(1)) // nothing may wait for that
	p, err := pack(ofProcess(0, 3, 1), 1<<20)
	require.NoError(t, err)
	for i := range 3 {
		publish(t, js, p.records[0].data, headerPin, fmt.Sprint("forged", i))
		require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	}
}

func TestALetterThatStaysIsToldOfOnceAndKeptUntilItCanBeSetAside(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	require.NoError(t, newExporter(t, js, WithPartitions(1)).publisher.find(t.Context()))
	q, o := open(t, js, WithExistingStream(), PublishOnly())
	r := &reader{queue: q}
	e := &entry{
		queue: q, base: 100, position: 107, timestamp: time.Now(), reply: "acknowledgements", data: []byte("garbage"),
		state: held, lease: time.Now().Add(time.Hour),
	}
	q.ledger.hold(e)
	q.decode(e)
	assert.Equal(t, rejected, e.state)
	for range 2 {
		r.failed = time.Time{}
		r.stays.since = time.Now().Add(-time.Hour) // it lasts
		r.setAside(t.Context())
	}
	assert.Len(t, o.failed, 1)
	require.ErrorIs(t, o.failures(), frame.ErrVersion)
	assert.Len(t, r.part().bad, 1)

	c := q.config
	c.existing = false
	require.NoError(t, makeDeadStream(t.Context(), js, &c, q.publisher.found().CachedInfo()))
	r.setAside(t.Context())
	assert.Len(t, r.part().bad, 1, "not so soon")
	sub, err := js.Conn().Subscribe(e.reply, func(m *nats.Msg) { _ = m.Respond(nil) })
	require.NoError(t, err)
	defer func() { _ = sub.Unsubscribe() }()
	r.failed = time.Time{}
	r.setAside(t.Context())
	assert.Empty(t, r.part().bad)
	dead, err := js.Stream(t.Context(), "ASYNCMETRIC_DEAD")
	require.NoError(t, err)
	letter, err := dead.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "garbage", string(letter.Data))
	assert.Equal(t, "7", letter.Header.Get(headerSeq))
	assert.Equal(t, "ASYNCMETRIC", letter.Header.Get(headerStream))
	assert.Equal(t, "asyncmetric.part.0", letter.Header.Get(headerSubject))
}
