package jetstream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/queue"
)

func TestWithoutAServerEveryCallEnds(t *testing.T) {
	s := startServer(t, nil)
	q, _ := open(t, connect(t, s.ClientURL()), quick)
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 1, 1)))
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 1, 2)))
	e := take(t, q)
	stopServer(s)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, q.Put(ctx, ofProcess(0, 1, 3)), context.DeadlineExceeded)
	require.Error(t, e.Settle(queue.Outcome{Exported: 1}), "nobody confirms it")
	requireConserved(t, q)
	require.Zero(t, q.Stats().InFlight, "it has ended nevertheless")
	require.NoError(t, q.Close())
	_, err := q.Take(t.Context(), queue.Limit{})
	require.ErrorIs(t, err, queue.ErrClosed)
	require.ErrorIs(t, q.Start(new(told).observer()), queue.ErrInUse)
}

func TestARestartOfTheServerLosesNothing(t *testing.T) {
	const processes, n = 3, 60
	dir, port := t.TempDir(), freePorts(t, 1)[0]
	options := func(o *server.Options) { o.StoreDir, o.Port = dir, port }
	s := startServer(t, options)
	url := s.ClientURL()
	b := newBackend()
	startRelay(t, url, b, 0, quick)
	app := newExporter(t, connect(t, url), quick)
	handOver(t, app, processes, 0, n/2)
	stopServer(s)
	startServer(t, options)
	handOver(t, app, processes, n/2, n/2)
	assert.LessOrEqual(t, b.await(t, processes, n), 1, "collections that came twice, where one was in flight")
}

func TestInAClusterTheLeaderMayDie(t *testing.T) {
	const processes, n = 4, 40
	c := startCluster(t)
	opts := []Option{quick, WithReplicas(3), WithPartitions(2)}
	js := connect(t, c.url())
	app := newExporter(t, js, opts...)
	handOver(t, app, processes, 0, 1)
	b := newBackend()
	startRelay(t, c.url(), b, time.Millisecond, opts...)

	doomed := leader(t, js, "ASYNCMETRIC", "")
	publishing := make(chan struct{})
	go func() {
		defer close(publishing)
		for i := range n - 1 {
			for p := range processes {
				assert.NoError(t, app.Export(waiting(t), ofProcess(p, 3, int64(i+1))))
			}
		}
	}()
	eventually(t, func() bool { distinct, _, _ := b.look(0); return distinct > n/8 }, "delivery is under way")
	c.kill(t, doomed)
	<-publishing
	again := b.await(t, processes, n)
	assert.LessOrEqual(t, again, 1, "collections that came twice, where one was in flight")
}

func TestInAClusterTheLeaderOfAConsumerMayDie(t *testing.T) {
	const n = 100
	c := startCluster(t)
	opts := []Option{quick, WithReplicas(3), WithPartitions(1)}
	js := connect(t, c.url())
	app := newExporter(t, js, opts...)
	handOver(t, app, 1, 0, n)
	b := newBackend()
	startRelay(t, c.url(), b, 2*time.Millisecond, opts...)
	startRelay(t, c.url(), b, 2*time.Millisecond, opts...)
	eventually(t, func() bool { distinct, _, _ := b.look(0); return distinct > n/8 }, "delivery is under way")
	c.kill(t, leader(t, js, "ASYNCMETRIC", consumerName(0)))
	again := b.await(t, 1, n)
	assert.LessOrEqual(t, again, 2, "collections that came twice, where each relay may have one in flight")
}

func TestARelayNoticesThatTheServerOfItsStreamIsGone(t *testing.T) {
	const n = 20
	c := startCluster(t)
	js := connect(t, c.url())
	handOver(t, newExporter(t, js, quick, WithPartitions(1), WithReplicas(1)), 1, 0, n)
	doomed, other := 0, 0
	for i, o := range c.options {
		if o.ServerName == leader(t, js, "ASYNCMETRIC", "") {
			doomed = i
		} else {
			other = i
		}
	}
	// The connection is to another server, and stays.
	q, _ := open(t, connect(t, fmt.Sprintf("nats://127.0.0.1:%d", c.options[other].Port)), quick)
	inFlight := take(t, q)
	awaitInHand(t, q, n)
	c.restart(t, doomed, 3*time.Second)             // longer than it may count on what it has
	_ = inFlight.Settle(queue.Outcome{Exported: 3}) // may not be confirmed
	for i := range uint64(n - 1) {
		e := take(t, q)
		require.Equal(t, i+2, e.Position())
		require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	}
}

func TestSealEndsAPutThatWaits(t *testing.T) {
	s := startServer(t, nil)
	q, _ := open(t, connect(t, s.ClientURL()), quick, PublishOnly())
	stopServer(s)
	put := make(chan error, 1)
	go func() { put <- q.Put(context.Background(), ofProcess(0, 1, 1)) }()
	eventually(t, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.putting == 1
	}, "it waits")
	q.Seal()
	require.ErrorIs(t, <-put, queue.ErrClosed)
}
