package jetstream

import (
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestNothingIsHandedOutBehindAnEndThatIsNotAcknowledged(t *testing.T) {
	s := startServer(t, nil)
	long := WithTakeover(30 * time.Second) // what is held could be handed out for long
	q, _ := open(t, connect(t, s.ClientURL()), long, WithPartitions(1))
	handOver(t, newExporter(t, connect(t, s.ClientURL())), 1, 0, 10)
	awaitInHand(t, q, 10)
	e := take(t, q)
	stopServer(s)
	require.Error(t, e.Settle(queue.Outcome{Exported: 3}))
	_, err := q.Take(t.Context(), queue.Limit{})
	require.ErrorIs(t, err, queue.ErrEmpty)
}

func TestAnEndThatIsNotAcknowledgedIsNotDeliveredAgain(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	line := newLine(t, url)
	q, _ := open(t, connect(t, line.url), quick, WithPartitions(1))
	handOver(t, newExporter(t, connect(t, url)), 1, 0, 3)
	awaitInHand(t, q, 3)
	e := take(t, q)
	line.cut()
	ended := make(chan error, 1)
	go func() { ended <- e.Settle(queue.Outcome{Exported: 3}) }()
	require.Error(t, <-ended, "nobody confirms it")
	line.mend()
	for i := range int64(2) {
		e := take(t, q)
		require.Equal(t, i+1, metrictest.Value(e.Collection()))
		require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	}
	awaitEmpty(t, q)
	assert.Equal(t, uint64(9), q.Stats().Exported)
}

func TestWhatHasEndedIsKnownUntilThatIsAcknowledged(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	stored := time.Now()
	q.mu.Lock()
	q.ledger.miss(&entry{position: 1, timestamp: stored})
	q.mu.Unlock()
	e := &entry{queue: q, position: 1, points: 3, collection: ofProcess(0, 3, 0), timestamp: stored}
	for range 2 { // the acknowledgement may be lost again
		entered, err := q.enter(e)
		require.NoError(t, err)
		require.False(t, entered)
	}
	q.confirm(e)
	q.age()
	q.age()
	entered, err := q.enter(e)
	require.NoError(t, err)
	require.True(t, entered)
}

func TestWhatHasEndedTakesNoMemoryBehindWhatWaits(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	q, _ := open(t, connect(t, url), quick, WithPartitions(2))
	app := newExporter(t, connect(t, url))
	processes := spread(t, app, 2)
	require.NoError(t, q.Put(t.Context(), ofProcess(processes[0], 3, 0)))
	slow := take(t, q)
	for i := range 100 {
		require.NoError(t, app.Export(t.Context(), ofProcess(processes[1], 3, int64(i))))
		require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	}
	q.mu.Lock()
	assert.Len(t, q.ledger.line, 1)
	q.mu.Unlock()
	require.NoError(t, slow.Settle(queue.Outcome{Exported: 3}))
	requireConserved(t, q)
}

func TestAnIdleRelayThatLeavesHoldsUpNobody(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	long := WithTakeover(5 * time.Minute) // nothing may wait for that
	idle, _ := open(t, connect(t, url), long, WithPartitions(1))
	eventually(t, func() bool {
		c, err := idle.js.Consumer(t.Context(), "ASYNCMETRIC", consumerName(0))
		return err == nil && c.CachedInfo().NumWaiting > 0
	}, "it has asked for messages")
	require.NoError(t, idle.Close())
	handOver(t, newExporter(t, connect(t, url)), 1, 0, 1)
	next, _ := open(t, connect(t, url), long)
	require.NoError(t, take(t, next).Settle(queue.Outcome{Exported: 3}))
}

func TestWhatIsInHandIsBounded(t *testing.T) {
	const n, bound = 40, 100 << 10
	url := startServer(t, nil).ClientURL()
	app := newExporter(t, connect(t, url), WithPartitions(1))
	for range n {
		require.NoError(t, app.Export(t.Context(), incompressible(200))) // 9 kB
	}
	q, _ := open(t, connect(t, url), quick, optionFunc(func(c *config) { c.inHand = bound }))
	largest, size := 0, 0
	for range n {
		e := take(t, q)
		inHand := 0
		q.mu.Lock()
		for _, e := range q.ledger.parts[0].inHand() {
			inHand += e.size
		}
		q.mu.Unlock()
		largest, size = max(largest, inHand), max(size, e.(*entry).size)
		require.NoError(t, e.Settle(queue.Outcome{Exported: 200}))
	}
	assert.LessOrEqual(t, largest, bound+size)
	assert.Greater(t, largest, bound/2, "and it is used")
}

func TestWhatComesAgainAfterItsEndIsNotDelivered(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	handOver(t, newExporter(t, js), 1, 0, 1)
	e := take(t, q).(*entry)
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	again := &entry{queue: q, position: e.position, timestamp: e.timestamp, data: e.data} // it was on its way
	for range 2 {
		entered, err := q.enter(again)
		require.NoError(t, err)
		require.False(t, entered)
		q.age() // as once in a takeover
	}
}

func TestDecodingMayTakeLongerThanALease(t *testing.T) {
	const n = 8
	url := startServer(t, nil).ClientURL()
	app := newExporter(t, connect(t, url), WithPartitions(1))
	rm := metrictest.Numbers(100_000, 1)
	for range n {
		require.NoError(t, app.Export(t.Context(), rm)) // 0.1 s each to decode, more under the race detector
	}
	q, _ := open(t, connect(t, url), quick)
	sum := 0
	for sum < n*100_000 {
		e := take(t, q)
		sum += e.Points()
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
	c, err := q.js.Consumer(t.Context(), "ASYNCMETRIC", consumerName(0))
	require.NoError(t, err)
	i := c.CachedInfo()
	assert.Equal(t, i.Delivered.Stream, i.Delivered.Consumer, "nothing was delivered twice")
}

func TestADeadLetterIsNotMissing(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	js := connect(t, url)
	q, o := open(t, js, quick, WithPartitions(1))
	app := newExporter(t, connect(t, url))
	handOver(t, app, 1, 0, 1)
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	l := app.publisher.lanes[0]
	l.count, l.stored = 2, 6
	publish(t, js, []byte{9, 9, 9}, natsjs.MsgIDHeader, app.publisher.id+".0.2", header, "3 3") // of a newer release
	handOver(t, app, 1, 2, 1)
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	assert.Empty(t, o.dropped())
}
