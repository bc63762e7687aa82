package jetstream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/queue"
)

var everything = func(*natsjs.StreamInfo) bool { return true }

func drain(q *Queue) {
	select {
	case <-q.Ready():
	default:
	}
}

func TestTheOldestOfAllPartitionsIsNext(t *testing.T) {
	now := time.Now()
	l := newLedger(2)
	l.hold(&entry{position: 1, partition: 1, lease: now.Add(1)})
	l.hold(&entry{position: 2, partition: 0, lease: now.Add(1)})
	l.parts[0].clear, l.parts[1].clear = true, true
	e, _ := l.head(now)
	assert.Equal(t, uint64(1), e.position)
}

func TestWhatTheServerHasDiscardedIsNotCounted(t *testing.T) {
	now := time.Now()
	l := newLedger(1)
	l.hold(&entry{position: 1, lease: now.Add(1)})
	l.hold(&entry{position: 2, lease: now.Add(1)})
	assert.Equal(t, 1, l.parts[0].leased(now, 2), "what the server has discarded is not pending there")
}

func TestWhatIsMissingIsCountedOnlyWithoutATakeover(t *testing.T) {
	l := newLedger(1)
	from := func(number, before uint64) *entry {
		return &entry{points: 1, from: origin{producer: "p", tells: true, number: number, before: before}}
	}
	require.Zero(t, l.see(from(1, 0)))
	l.doubt(0)
	assert.Zero(t, l.see(from(9, 8)), "another relay may have had them")
	assert.Equal(t, 2, l.see(from(12, 11)))
}

func TestTheOldestIsTold(t *testing.T) {
	now := time.Now()
	l := newLedger(1)
	for _, position := range []uint64{7, 5, 6} {
		l.enlist(&entry{position: position, accepted: now.Add(time.Duration(position))})
	}
	q := &Queue{ledger: l}
	assert.Equal(t, now.Add(5), q.Stats().Oldest)
	assert.Equal(t, uint64(5), q.Stats().First)
	q.notices.Dropped(queue.Drop{Points: 1, Position: 4})
	assert.Equal(t, uint64(4), q.Stats().First, "the observer has not heard of the drop yet")
}

func TestANumberThatIsTooLargeIsNotBelieved(t *testing.T) {
	msg := nats.NewMsg("x")
	msg.Header.Set(natsjs.MsgIDHeader, nuid.Next()+".0.9")
	msg.Header.Set(header, "18014398509481984 1") // 2^54
	assert.False(t, originOf(msg).tells)
}

func TestWhatComesAgainRenewsWhatIsInHand(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, PublishOnly(), WithPartitions(1))
	now := time.Now()
	e := &entry{position: 1, timestamp: now, lease: now, reply: "first"}
	q.ledger.hold(e)
	_, err := q.renew(&entry{position: 1, timestamp: now.Add(1)})
	require.ErrorIs(t, err, errRemade)
	known, err := q.renew(&entry{position: 1, timestamp: now, lease: now.Add(1), reply: "second"})
	require.NoError(t, err)
	require.True(t, known)
	assert.Equal(t, "second", e.reply)
	assert.Equal(t, now.Add(1), e.lease)
}

func TestAnEndOfAnotherStreamIsNotBelieved(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, PublishOnly(), WithPartitions(1))
	q.mu.Lock()
	q.ledger.miss(&entry{position: 1, timestamp: time.Now()})
	q.mu.Unlock()
	_, err := q.enter(&entry{queue: q, position: 1, points: 3, timestamp: time.Now().Add(time.Second)})
	require.ErrorIs(t, err, errRemade)
}

func TestWhatHasEndedLongAgoIsNotHandedOut(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 1)))
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	q.reconcile(t.Context(), everything)
	q.age()
	q.age()
	entered, err := q.enter(&entry{queue: q, position: 1, points: 3, from: origin{producer: q.publisher.id}})
	require.NoError(t, err)
	assert.False(t, entered, "it has ended")
}

func TestWhatWasInFlightHasNothingToDoWithANewStream(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 1)))
	e := take(t, q)
	info := *q.publisher.found().CachedInfo()
	info.Created = info.Created.Add(1)
	q.follow(&info)
	q.mu.Lock()
	assert.Zero(t, q.ledger.parts[0].inHand())
	q.mu.Unlock()
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
}

func TestAMessageMayEndBeforePutKnowsOfIt(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	p, err := q.publisher.pack(t.Context(), ofProcess(0, 3, 7))
	require.NoError(t, err)
	err = q.publisher.send(t.Context(), p, func(r record, a ack) {
		e := take(t, q) // before Put knows that it is stored
		assert.Equal(t, e.Position(), q.Stats().Last)
		require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
		q.stored(r, a)
	})
	require.NoError(t, err)
	assert.Equal(t, uint64(3), q.Stats().Accepted)
	assert.Zero(t, q.Stats().Queued)
}

func TestWhatWaitsForASecondIsOverdue(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, PublishOnly(), WithPartitions(1))
	q.mu.Lock()
	q.ledger.enlist(&entry{queue: q, position: 1, accepted: time.Now().Add(-1100 * time.Millisecond)})
	q.mu.Unlock()
	assert.True(t, q.isOverdue(nil))
}

func TestWhatEndsTheQueueIsSignalled(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, WithPartitions(1), PublishOnly())
	q.config.publishOnly = false
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 1)))
	q.Seal()
	drain(q)
	s := q.publisher.found()
	require.NoError(t, s.Purge(t.Context()))
	q.reconcile(t.Context(), everything)
	select {
	case <-q.Ready():
	default:
		t.Error("nobody is told that nothing will come")
	}
	info := *s.CachedInfo()
	info.Created = time.Now()
	q.follow(&info)
	select {
	case <-q.Ready():
	default:
		t.Error("nobody is told that the stream is another one")
	}
	q2, _ := open(t, js, PublishOnly())
	require.NoError(t, q2.beginPut())
	q2.Seal()
	drain(q2)
	q2.endPut()
	select {
	case <-q2.Ready():
	default:
		t.Error("nobody is told that the last Put has ended")
	}
}

func TestTakeWaitsForAPutThatBeganBeforeSeal(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, PublishOnly())
	require.NoError(t, q.beginPut())
	q.Seal()
	_, err := q.Take(t.Context(), queue.Limit{})
	require.ErrorIs(t, err, queue.ErrEmpty)
	q.endPut()
	_, err = q.Take(t.Context(), queue.Limit{})
	require.ErrorIs(t, err, queue.ErrClosed)
}

func TestTheBacklogIsTold(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, WithPartitions(1))
	before := time.Now()
	app := newExporter(t, js)
	handOver(t, app, 1, 0, 1)
	b, err := q.Backlog(t.Context())
	require.NoError(t, err)
	assert.WithinDuration(t, before, b.Oldest, time.Minute)
	assert.Positive(t, b.Bytes)
	e := take(t, q)
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 1)))
	assert.Equal(t, e.Accepted(), q.Stats().Oldest)
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	b, err = q.Backlog(t.Context())
	require.NoError(t, err)
	assert.Zero(t, b.Oldest)
}
