package jetstream

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// What happens where only a connection breaks, or is silent.

// sever breaks all connections that go through the line; what is under way is
// lost.
func (n *line) sever() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	n.conns = nil
}

var atOnce = nats.ReconnectWait(time.Millisecond)

func TestWhatIsLostOnItsWayIsNotOvertaken(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	line := newLine(t, url)
	js := connect(t, line.url, atOnce)
	app := newExporter(t, connect(t, url), WithPartitions(1))
	handOver(t, app, 1, 0, 1)
	q, _ := open(t, js, quick)
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	for round := range int64(3) {
		line.cut()
		handOver(t, app, 1, int(2*round)+1, 1) // the server sends it, if there is a request, and nobody reads it
		before := js.Conn().Stats().Reconnects
		line.sever()
		line.mend()
		eventually(t, func() bool { return js.Conn().Stats().Reconnects > before }, "it is connected again")
		handOver(t, app, 1, int(2*round)+2, 1)
		for i := range int64(2) {
			e := take(t, q)
			require.Equal(t, 2*round+1+i, metrictest.Value(e.Collection()))
			require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
		}
	}
}

func TestOrderHoldsWhereConnectionsBreak(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	line := newLine(t, url)
	app := newExporter(t, connect(t, url), WithPartitions(1))
	require.NoError(t, app.publisher.find(t.Context()))
	b := newBackend()
	q := openFor(t, connect(t, line.url, atOnce), quick)
	inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
		b.receive(rm)
		return nil
	}}
	relay, err := asyncmetric.New(inner, asyncmetric.WithQueue(q))
	require.NoError(t, err)
	const rounds, n = 5, 20
	for round := range rounds {
		handOver(t, app, 1, round*n, n/2)
		line.cut()
		handOver(t, app, 1, round*n+n/2, n/2)
		line.sever()
		line.mend()
	}
	b.await(t, 1, rounds*n)
	require.NoError(t, relay.Shutdown(waiting(t)))
}

func TestTheEndsOfAMergedBatchDoNotEachWaitForASilentServer(t *testing.T) {
	const n = 50
	url := startServer(t, nil).ClientURL()
	line := newLine(t, url)
	handOver(t, newExporter(t, connect(t, url), WithPartitions(1)), 1, 0, n)
	q := openFor(t, connect(t, line.url))
	awaitInHand(t, q, n)
	inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
		line.cut()
		return nil
	}}
	relay, err := asyncmetric.New(inner, asyncmetric.WithQueue(q), asyncmetric.WithMerging(0))
	require.NoError(t, err)
	eventually(t, func() bool { return q.Stats().Exported == 3*n }, "all have ended, which would take more than this test has")
	line.mend()
	require.NoError(t, relay.Shutdown(waiting(t)))
	require.Equal(t, 1, inner.Count("Export"))
}

func TestAPartitionWithASilentConsumerHoldsUpNoOther(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	js := connect(t, url)
	q, _ := open(t, js, quick, WithPartitions(2))
	app := newExporter(t, connect(t, url))
	require.NoError(t, app.Export(t.Context(), ofProcess(spread(t, app, 2)[1], 3, 1)))
	e := take(t, q)
	silent, err := js.Conn().Subscribe("silent", func(*nats.Msg) {}) // nobody answers
	require.NoError(t, err)
	defer func() { _ = silent.Unsubscribe() }()
	q.mu.Lock()
	stuck := &entry{queue: q, position: 1 << 40, points: 1, state: inFlight, reply: "silent", lease: time.Now().Add(time.Hour)}
	q.ledger.parts[0].flying = []*entry{stuck}
	q.mu.Unlock()
	for range 3 {
		before := q.leaseOf(e)
		q.mu.Lock()
		stuck.lease = time.Now().Add(time.Millisecond * 700) // so that it is to be extended
		q.mu.Unlock()
		eventually(t, func() bool { return q.leaseOf(e).After(before) }, "the other one is extended")
		assert.True(t, q.leaseOf(e).After(time.Now()), "in time")
	}
	q.mu.Lock()
	q.ledger.parts[0].flying = nil
	q.mu.Unlock()
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
}
