package jetstream

import (
	"context"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestWhatIsReturnedIsNextOfItsPartition(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	q, _ := open(t, connect(t, url), quick, WithPartitions(1))
	handOver(t, newExporter(t, connect(t, url)), 1, 0, 4)
	awaitInHand(t, q, 4)
	first, second := take(t, q), take(t, q)
	before := q.Stats()
	require.NoError(t, first.Return())
	require.NoError(t, second.Return())
	require.Error(t, second.Settle(queue.Outcome{Exported: 3}), "it has been returned")
	s := q.Stats()
	assert.Zero(t, s.InFlight)
	assert.Equal(t, before.Accepted, s.Accepted)
	assert.Equal(t, before.Queued, s.Queued)
	assert.Equal(t, uint64(1), s.First)
	q.Seal() // what has been taken before does not end with that
	for i := range int64(2) {
		e := take(t, q)
		assert.Equal(t, i, metrictest.Value(e.Collection()))
		require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	}
	assert.Equal(t, uint64(6), q.Stats().Exported)
	requireConserved(t, q)
}

// A reader stops, and another relay has the partition, while something of it is in
// flight here.
func TestWhatIsReturnedIsStillThisRelays(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	long := WithTakeover(5 * time.Minute) // nothing may wait for that
	first, _ := open(t, connect(t, url), long, WithPartitions(1))
	handOver(t, newExporter(t, connect(t, url)), 1, 0, 2)
	e := take(t, first)
	first.Seal()
	next, _ := open(t, connect(t, url), long)
	eventually(t, func() bool {
		next.mu.Lock()
		defer next.mu.Unlock()
		return len(next.ledger.parts[0].held) == 1
	}, "the other relay has the partition")
	require.NoError(t, e.Return())
	e = take(t, first)
	require.Equal(t, uint64(1), e.Position())
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	_, err := first.Take(t.Context(), queue.Limit{})
	require.ErrorIs(t, err, queue.ErrClosed)
	e = take(t, next)
	require.Equal(t, uint64(2), e.Position())
	require.NoError(t, e.Return())

	handOver(t, newExporter(t, connect(t, url)), 1, 2, 1)
	e = take(t, next)
	require.NoError(t, next.Close())
	require.NoError(t, e.Return())
	last, _ := open(t, connect(t, url), long)
	for i := range uint64(2) {
		e := take(t, last)
		require.Equal(t, i+2, e.Position())
		require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	}
}

func TestCloseGivesBackWhatWasReturned(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	long := WithTakeover(5 * time.Minute) // nothing may wait for that
	first, _ := open(t, connect(t, url), long, WithPartitions(1))
	handOver(t, newExporter(t, connect(t, url)), 1, 0, 1)
	e := take(t, first)
	first.Seal()
	next, _ := open(t, connect(t, url), long)
	eventually(t, func() bool { return first.share() == 0 }, "the partition is not this relay's any more")
	require.NoError(t, e.Return())
	require.NoError(t, first.Close())
	assert.Equal(t, 3, first.Stats().Queued, "what is kept")
	require.NoError(t, take(t, next).Settle(queue.Outcome{Exported: 3}))
}

func TestWhatIsReturnedTooLateIsInTheStream(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	q, _ := open(t, connect(t, url), WithTakeover(5*time.Minute), WithPartitions(1))
	handOver(t, newExporter(t, connect(t, url)), 1, 0, 1)
	e := take(t, q)
	drain(q)
	q.mu.Lock()
	e.(*entry).lease = time.Now()
	q.mu.Unlock()
	require.NoError(t, e.Return())
	_, err := q.Take(t.Context(), queue.Limit{})
	require.ErrorIs(t, err, queue.ErrEmpty, "the server may have given it to another relay")
	assert.Equal(t, 3, q.Stats().Queued)
	q.nak([]string{e.(*entry).reply}) // as if its time were over for the server, too
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	assert.Equal(t, uint64(3), q.Stats().Accepted, "it counts once")
	requireConserved(t, q)
}

func TestWhatIsReturnedOfADeletedStreamIsLost(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, o := open(t, js, quick, WithPartitions(1))
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 1)))
	e := take(t, q)
	q.mu.Lock()
	q.forget(q.created)
	q.mu.Unlock()
	require.NoError(t, e.Return())
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonCorrupt: 3}, o.dropped())
	assert.Equal(t, e.Position(), o.drops[0].Position)
	require.ErrorIs(t, o.drops[0].Err, ErrLost)
	requireConserved(t, q)
}

// The one that has returned something does not wait for it for ever.
func TestWhatIsReturnedAndDeliveredElsewhereEndsHere(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	q, _ := open(t, connect(t, url), quick, WithPartitions(1))
	handOver(t, newExporter(t, connect(t, url)), 1, 0, 1)
	e := take(t, q).(*entry)
	q.mu.Lock()
	e.lease = time.Now()
	q.mu.Unlock()
	require.NoError(t, e.Return())
	require.NoError(t, q.ack(e)) // as another relay does
	drain(q)
	q.reconcile(t.Context(), everything)
	s := q.Stats()
	assert.Equal(t, uint64(3), s.Exported)
	assert.Zero(t, s.First)
	select {
	case <-q.Ready():
	default:
		t.Error("nobody is told that the oldest entry is another one")
	}
	requireConserved(t, q)
}

func TestAnEntryBeyondTheLimitStays(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 1)))
	require.NoError(t, take(t, q).Return())
	_, err := q.Take(t.Context(), queue.Limit{MaxPoints: 2})
	require.ErrorIs(t, err, queue.ErrDeclined)
	_, err = q.Take(t.Context(), queue.Limit{Resource: ofProcess(1, 1, 1).Resource})
	require.ErrorIs(t, err, queue.ErrDeclined)
	e, err := q.Take(t.Context(), queue.Limit{MaxPoints: 3, Resource: ofProcess(0, 1, 1).Resource})
	require.NoError(t, err)
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
}

func TestAQueueIsStartedOnce(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, err := Open(t.Context(), js, PublishOnly(), WithMaxBytes(1<<20), WithOverflow(queue.DropOldest))
	require.NoError(t, err)
	assert.Equal(t, queue.Info{Durable: true, MaxBytes: 1 << 20, Overflow: queue.DropOldest}, q.Info())
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 1)), "it works before Start")
	require.NoError(t, q.Start(new(told).observer()))
	require.ErrorIs(t, q.Start(new(told).observer()), queue.ErrInUse)
	require.NoError(t, q.Close())
	other, err := Open(t.Context(), js, PublishOnly())
	require.NoError(t, err)
	require.NoError(t, other.Close())
	require.ErrorIs(t, other.Start(new(told).observer()), queue.ErrClosed)
	require.ErrorIs(t, other.Put(t.Context(), ofProcess(0, 3, 1)), queue.ErrClosed)
}

func TestAPutWhoseContextHasEndedIsGivenAMoment(t *testing.T) {
	s := startServer(t, nil)
	js := connect(t, s.ClientURL())
	q, _ := open(t, js, PublishOnly())
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 1)))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, q.Put(ended, ofProcess(0, 3, 2)), "the server answers in time")
	assert.Equal(t, uint64(6), q.Stats().Exported)
	stopServer(s)
	begin := time.Now()
	require.Error(t, q.Put(ended, ofProcess(0, 3, 3)))
	assert.Less(t, time.Since(begin), queue.Grace+time.Second)
	assert.Equal(t, uint64(6), q.Stats().Accepted)
}

func TestThePositionOfADropIsThatOfTheOldest(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, o := open(t, js, quick, WithPartitions(1), PublishOnly())
	q.config.publishOnly = false // nobody takes anything
	for i := range int64(3) {
		require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, i)))
	}
	require.NoError(t, q.publisher.found().Purge(t.Context(), natsjs.WithPurgeSequence(3)))
	drain(q)
	q.reconcile(t.Context(), everything)
	q.tell()
	require.Len(t, o.drops, 1)
	assert.Equal(t, uint64(1), o.drops[0].Position)
	assert.Equal(t, 6, o.drops[0].Points)
	assert.Equal(t, uint64(3), q.Stats().First)
	select {
	case <-q.Ready():
	default:
		t.Error("nobody is told that the oldest entry is another one")
	}
}
