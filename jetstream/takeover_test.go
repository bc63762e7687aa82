package jetstream

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/queue"
)

// quick makes takeovers short.
var quick = WithTakeover(2 * time.Second)

// share returns how many partitions a queue delivers.
func (q *Queue) share() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.ledger.parts {
		if p.clear {
			n++
		}
	}
	return n
}

func TestARelayThatDiesIsTakenOver(t *testing.T) {
	const processes, n = 5, 60
	url := startServer(t, nil).ClientURL()
	b := newBackend()
	doomed := startRelay(t, url, b, time.Millisecond, quick)
	heir := startRelay(t, url, b, time.Millisecond, quick)
	eventually(t, func() bool { return doomed.queue.share() == 2 && heir.queue.share() == 2 }, "the partitions are divided")

	app := newExporter(t, connect(t, url), quick)
	handOver(t, app, processes, 0, n/2)
	eventually(t, func() bool { return doomed.inner.Count("Export") > n/10 }, "the relay delivers")
	doomed.kill()
	handOver(t, app, processes, n/2, n/2)

	again := b.await(t, processes, n)
	assert.LessOrEqual(t, again, 1, "collections that came twice, where one was in flight")
	assert.Equal(t, 4, heir.queue.share(), "partitions that the heir delivers")
	requireConserved(t, heir.queue)
}

func TestWhatARelayHadReceivedComesFirstAfterATakeover(t *testing.T) {
	const n = 40
	url := startServer(t, nil).ClientURL()
	js := connect(t, url)
	doomed, _ := open(t, js, quick, WithPartitions(1))
	app := newExporter(t, connect(t, url), quick)
	handOver(t, app, 1, 0, n)
	require.Equal(t, uint64(1), take(t, doomed).Position())
	awaitInHand(t, doomed, n)
	closeConn(js.Conn())
	handOver(t, app, 1, n, n)

	heir, _ := open(t, connect(t, url), quick)
	for i := range uint64(2 * n) {
		e := take(t, heir)
		require.Equal(t, i+1, e.Position())
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
	require.Equal(t, uint64(2*n*3), heir.Stats().Exported)
}

// requireNothingOlder requires that the next thing that one of the queues hands
// out is not older than a position.
func requireNothingOlder(t *testing.T, position uint64, queues ...*Queue) {
	t.Helper()
	for ctx := waiting(t); ; {
		for _, q := range queues {
			e, err := q.Take(ctx, queue.Limit{})
			if err == nil {
				require.GreaterOrEqual(t, e.Position(), position)
				require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
				return
			}
			require.ErrorIs(t, err, queue.ErrEmpty)
		}
	}
}

func TestARelayThatWasCutOffDeliversNothingThatOthersHaveDelivered(t *testing.T) {
	const n = 10
	url := startServer(t, nil).ClientURL()
	line := newLine(t, url)
	cutOff, _ := open(t, connect(t, line.url), quick, WithPartitions(1))
	app := newExporter(t, connect(t, url), quick)
	handOver(t, app, 1, 0, n)
	inFlight := take(t, cutOff)
	awaitInHand(t, cutOff, n)
	line.cut()
	heir, _ := open(t, connect(t, url), quick)
	for i := range uint64(n) {
		e := take(t, heir)
		require.Equal(t, i+1, e.Position())
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
	line.mend()
	cutOff.extendPart(0)
	handOver(t, app, 1, n, 1)
	requireNothingOlder(t, n+1, cutOff, heir)
	require.NoError(t, inFlight.Settle(queue.Outcome{Exported: inFlight.Points()}))
	requireConserved(t, cutOff)
}

func TestWhatArrivesLateIsNotDelivered(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	line := newLine(t, url)
	cutOff, _ := open(t, connect(t, line.url), quick, WithPartitions(1))
	app := newExporter(t, connect(t, url), quick)
	handOver(t, app, 1, 0, 1)
	require.NoError(t, take(t, cutOff).Settle(queue.Outcome{Exported: 3}))
	line.cut()
	handOver(t, app, 1, 1, 2) // the server sends it to the one that is cut off
	heir, _ := open(t, connect(t, url), quick)
	for i := range uint64(2) {
		e := take(t, heir)
		require.Equal(t, i+2, e.Position())
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
	line.mend()
	handOver(t, app, 1, 3, 1)
	requireNothingOlder(t, 4, cutOff, heir)
}

func TestWhatHasLapsedIsNotCounted(t *testing.T) {
	now := time.Now()
	l := newLedger(1)
	l.hold(&entry{position: 1, points: 1, lease: now.Add(-1)})
	l.hold(&entry{position: 2, points: 1, lease: now.Add(1)})
	l.parts[0].clear = true
	assert.Equal(t, 1, l.parts[0].leased(now, 0), "what the server gives to nobody else")
	e, lapsed := l.head(now)
	assert.Nil(t, e, "what is behind may have been delivered elsewhere")
	assert.Zero(t, lapsed)
}

func TestATimeThatIsExtendedTooLateIsOver(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	line := newLine(t, url)
	rarely := WithTakeover(5 * time.Minute) // the keeper does nothing meanwhile
	q, _ := open(t, connect(t, line.url), rarely, WithPartitions(1))
	handOver(t, newExporter(t, connect(t, url), rarely), 1, 0, 1)
	e := take(t, q).(*entry)
	q.mu.Lock()
	over := time.Now().Add(100 * time.Millisecond)
	e.lease = over
	line.cut()
	q.mu.Unlock()
	extended := make(chan struct{})
	go func() {
		defer close(extended)
		q.extendPart(0)
	}()
	eventually(t, func() bool { return time.Now().After(over) }, "the time is over")
	line.mend()
	<-extended
	q.extendPart(0)
	assert.Equal(t, over, q.leaseOf(e))
}

func TestARelayThatLeavesHandsOverAtOnce(t *testing.T) {
	const n = 30
	url := startServer(t, nil).ClientURL()
	long := WithTakeover(5 * time.Minute) // nothing may wait for that
	first, _ := open(t, connect(t, url), long, WithPartitions(1))
	app := newExporter(t, connect(t, url), long)
	handOver(t, app, 1, 0, n)
	inFlight := take(t, first)
	require.Equal(t, uint64(1), inFlight.Position())
	require.NoError(t, first.Close())
	require.NoError(t, inFlight.Return())
	require.Error(t, inFlight.Return())
	require.Error(t, inFlight.Settle(queue.Outcome{Exported: 3}))
	require.Zero(t, first.Stats().InFlight)
	requireConserved(t, first)

	second, _ := open(t, connect(t, url), long)
	for i := range uint64(n) {
		e := take(t, second)
		require.Equal(t, i+1, e.Position())
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
}

func TestARelayThatStopsKeepsOnlyWhatItDelivers(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	long := WithTakeover(5 * time.Minute) // nothing may wait for that
	first, _ := open(t, connect(t, url), long, WithPartitions(2))
	app := newExporter(t, connect(t, url))
	processes := spread(t, app, 2)
	require.NoError(t, app.Export(t.Context(), ofProcess(processes[0], 3, 1)))
	slow := take(t, first)
	first.Seal()
	require.NoError(t, app.Export(t.Context(), ofProcess(processes[0], 3, 2)))
	require.NoError(t, app.Export(t.Context(), ofProcess(processes[1], 3, 2)))
	next, _ := open(t, connect(t, url), long)
	e := take(t, next)
	require.Equal(t, 1, e.(*entry).partition)
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	require.NoError(t, slow.Settle(queue.Outcome{Exported: 3}))
	require.NoError(t, take(t, next).Settle(queue.Outcome{Exported: 3}))
}

func TestRelaysDivideThePartitions(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	var relays []*Queue
	shares := func() (shares []int) {
		for _, q := range relays {
			shares = append(shares, q.share())
		}
		return shares
	}
	for _, want := range [][]int{{3}, {1, 2}, {1, 1, 1}, {0, 1, 1, 1}} {
		q, _ := open(t, connect(t, url), quick, WithPartitions(3))
		relays = append(relays, q)
		eventually(t, func() bool { return assert.ObjectsAreEqual(want, slices.Sorted(slices.Values(shares()))) }, "the partitions are divided")
	}
	for len(relays) > 1 {
		require.NoError(t, relays[0].Close())
		relays = relays[1:]
	}
	eventually(t, func() bool { return relays[0].share() == 3 }, "the last one has all")
}

func TestOrderHoldsWhileRelaysComeAndGo(t *testing.T) {
	requireOrderWhileRelaysComeAndGo(t, startServer(t, nil).ClientURL(), window)
}

// requireOrderWhileRelaysComeAndGo also requires that the server lets a relay
// have as many messages in hand.
func requireOrderWhileRelaysComeAndGo(t *testing.T, url string, inHand int) {
	t.Helper()
	const processes, n = 4, 80
	b := newBackend()
	first := startRelay(t, url, b, 0, quick)
	app := newExporter(t, connect(t, url), quick)
	handOver(t, app, processes, 0, n/4)
	second := startRelay(t, url, b, 0, quick)
	handOver(t, app, processes, n/4, n/4)
	third := startRelay(t, url, b, 0, quick)
	handOver(t, app, processes, n/2, n/4)
	require.NoError(t, second.exporter.Shutdown(waiting(t)))
	handOver(t, app, processes, n/4*3, n/4)
	require.NoError(t, third.exporter.Shutdown(waiting(t)))
	assert.Zero(t, b.await(t, processes, n), "collections that came twice, where no relay died")
	c, err := first.js.Consumer(t.Context(), "ASYNCMETRIC", consumerName(0))
	require.NoError(t, err)
	assert.Equal(t, inHand, c.CachedInfo().Config.MaxAckPending)
	assert.Equal(t, inHand > 1, isPinned(c))
}

func TestWhatAnotherRelayDeliversEndsHere(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	q, _ := open(t, connect(t, url), quick)
	b := newBackend()
	relay := startRelay(t, url, b, 0, quick)
	eventually(t, func() bool { return q.share() == 2 && relay.queue.share() == 2 }, "the partitions are divided")
	for p := range 20 {
		require.NoError(t, q.Put(t.Context(), ofProcess(p, 3, 1)))
	}
	q.Seal()
	for q.Stats().Queued > 0 {
		if e, err := q.Take(t.Context(), queue.Limit{}); err == nil {
			require.NoError(t, e.Settle(queue.Outcome{Dropped: 3}))
		}
		requireConserved(t, q)
	}
	s := q.Stats()
	require.True(t, s.Passed(s.Last))
	assert.Positive(t, s.Dropped)
	assert.Equal(t, relay.queue.Stats().Exported, s.Exported, "what the other one delivered")
}
