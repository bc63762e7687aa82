package jetstream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool"
)

func TestWithAQueueInFrontAnApplicationStartsWithoutAServer(t *testing.T) {
	const n = 20
	port := freePorts(t, 1)[0]
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	js := connect(t, url, nats.RetryOnFailedConnect(true))
	handover := newExporter(t, js, quick)
	exporter, err := asyncmetric.New(handover, asyncmetric.WithExportTimeout(time.Second),
		asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: 10 * time.Millisecond, MaxInterval: 100 * time.Millisecond}))
	require.NoError(t, err)
	handOver(t, exporter, 1, 0, n)
	assert.Equal(t, uint64(3*n), exporter.Stats().Accepted)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, exporter.ForceFlush(ctx), context.DeadlineExceeded)

	startServer(t, func(o *server.Options) { o.Port = port })
	require.NoError(t, exporter.ForceFlush(waiting(t)))
	b := newBackend()
	startRelay(t, url, b, 0, quick)
	assert.Zero(t, b.await(t, 1, n))
	require.NoError(t, exporter.Shutdown(waiting(t)))
	require.ErrorIs(t, handover.Export(t.Context(), ofProcess(0, 1, 1)), metric.ErrExporterShutdown)
}

func TestWithASpoolInFrontARestartWithoutAServerLosesNothing(t *testing.T) {
	const n = 10
	port := freePorts(t, 1)[0]
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	dir := t.TempDir()
	start := func() *asyncmetric.Exporter {
		q, err := spool.Open(dir)
		require.NoError(t, err)
		js := connect(t, url, nats.RetryOnFailedConnect(true))
		exporter, err := asyncmetric.New(newExporter(t, js, quick), asyncmetric.WithQueue(q), asyncmetric.WithExportTimeout(time.Second),
			asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: 10 * time.Millisecond, MaxInterval: 100 * time.Millisecond}))
		require.NoError(t, err)
		return exporter
	}
	before := start()
	handOver(t, before, 1, 0, n)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, before.Shutdown(ctx), context.DeadlineExceeded)

	startServer(t, func(o *server.Options) { o.Port = port })
	after := start()
	handOver(t, after, 1, n, n)
	require.NoError(t, after.ForceFlush(waiting(t)))
	b := newBackend()
	startRelay(t, url, b, 0, quick)
	assert.Zero(t, b.await(t, 1, 2*n))
	require.NoError(t, after.Shutdown(waiting(t)))
}

func TestExportWithoutAServerIsWorthAnotherAttempt(t *testing.T) {
	js := connect(t, fmt.Sprintf("nats://127.0.0.1:%d", freePorts(t, 1)[0]), nats.RetryOnFailedConnect(true))
	e := newExporter(t, js)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := e.Export(ctx, ofProcess(0, 1, 1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "ASYNCMETRIC")
	assert.True(t, isRetried(err))
}

func TestAnExportThatIsRepeatedIsStoredOnce(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	e := newExporter(t, js)
	q, _ := open(t, js)
	// What a lost acknowledgement leaves behind: a message that was stored, and
	// an Exporter that does not know.
	p, err := e.publisher.pack(waiting(t), ofProcess(0, 3, 7))
	require.NoError(t, err)
	require.NoError(t, e.Export(t.Context(), ofProcess(0, 3, 7)))
	w := e.publisher.writer(p.resource)
	w.remember(e.publisher.id+fmt.Sprintf(".%d.1", w.partition), p.records[0].data, false)

	require.NoError(t, e.Export(t.Context(), ofProcess(0, 3, 7)))
	require.NoError(t, e.Export(t.Context(), ofProcess(0, 3, 8)))
	first, second := take(t, q), take(t, q)
	assert.Equal(t, int64(7), metrictest.Value(first.Collection()))
	assert.Equal(t, int64(8), metrictest.Value(second.Collection()))
	backlog, err := q.Backlog(t.Context())
	require.NoError(t, err)
	assert.Equal(t, uint64(2), backlog.Messages)
}

func TestPublishOnlyHandsOver(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	q := openFor(t, connect(t, url), PublishOnly())
	inner := new(metrictest.Exporter)
	app, err := asyncmetric.New(inner, asyncmetric.WithQueue(q))
	require.NoError(t, err)
	handOver(t, app, 3, 0, 5)
	require.NoError(t, app.ForceFlush(t.Context()))
	s := app.Stats()
	assert.Equal(t, uint64(45), s.Accepted)
	assert.Equal(t, uint64(45), s.Exported)
	assert.Zero(t, s.Queued)
	require.NoError(t, app.Shutdown(t.Context()))
	assert.Zero(t, inner.Count("Export"))

	b := newBackend()
	startRelay(t, url, b, 0)
	assert.Zero(t, b.await(t, 3, 5))
}

func TestARelayShutsDownWithoutEmptyingTheStream(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	handOver(t, newExporter(t, connect(t, url), WithPartitions(1)), 1, 0, 100)
	b := newBackend()
	gate := make(chan struct{})
	q := openFor(t, connect(t, url))
	inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
		<-gate
		b.receive(rm)
		return nil
	}}
	relay, err := asyncmetric.New(inner, asyncmetric.WithQueue(q))
	require.NoError(t, err)
	eventually(t, func() bool { return inner.Count("Export") == 1 }, "delivery has begun")
	down := make(chan error, 1)
	go func() { down <- relay.Shutdown(waiting(t)) }()
	eventually(t, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.sealed
	}, "the queue is sealed")
	close(gate)
	require.NoError(t, <-down)
	distinct, again, err := b.look(0)
	require.NoError(t, err)
	assert.Equal(t, 1, distinct)
	startRelay(t, url, b, 0)
	assert.Zero(t, again+b.await(t, 1, 100))
}

func TestOptionsAreChecked(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	for _, o := range []Option{
		nil, WithStream("a.b"), WithSubject("a.*"), WithReplicas(0), WithReplicas(6), WithPartitions(257), WithMaxBytes(0), WithMaxAge(1), WithPartitions(0),
		WithOverflow(queue.Block), WithOverflow(queue.Coalesce), WithTakeover(time.Second),
		WithTemporalitySelector(nil), WithAggregationSelector(nil),
	} {
		_, err := NewExporter(js, o)
		require.ErrorIs(t, err, ErrInvalidOption)
		_, err = Open(t.Context(), js, o)
		require.ErrorIs(t, err, ErrInvalidOption)
	}
	_, err := Open(t.Context(), nil)
	require.ErrorIs(t, err, ErrInvalidOption)
}

func TestWhatKeepsTheStreamFromBeingMadeIsNoFaultOfTheCollection(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	_, err := js.CreateStream(t.Context(), natsjs.StreamConfig{Name: "OTHER", Subjects: []string{"asyncmetric.part.1"}})
	require.NoError(t, err)
	e := newExporter(t, js)
	err = e.Export(t.Context(), ofProcess(0, 3, 1))
	require.ErrorContains(t, err, "overlap")
	assert.True(t, isRetried(err))
	require.NoError(t, js.DeleteStream(t.Context(), "OTHER"))
	require.NoError(t, e.Export(t.Context(), ofProcess(0, 3, 1)))
	require.NoError(t, e.Export(t.Context(), new(metricdata.ResourceMetrics)), "without points there is nothing to do")
}

func TestMoreReplicasThanServersIsAnErrorAtOnce(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	_, err := Open(context.Background(), js, WithReplicas(3))
	require.ErrorContains(t, err, "replicas")
	_, _ = open(t, js)
	_, err = Open(context.Background(), js, WithReplicas(3))
	require.ErrorIs(t, err, ErrMismatch)
}

// Who operates a stream may bound its messages below the payload of the server, at
// any time.
func TestACollectionLargerThanTheStreamAllowsIsHandedOverInParts(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	handover := newExporter(t, js)
	require.NoError(t, handover.Export(t.Context(), metrictest.Numbers(1, 1))) // makes the stream
	stream, err := js.Stream(t.Context(), "ASYNCMETRIC")
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	config.MaxMsgSize = 16 << 10
	_, err = js.UpdateStream(t.Context(), config)
	require.NoError(t, err)

	exporter, err := asyncmetric.New(handover)
	require.NoError(t, err)
	points := make([]metricdata.DataPoint[float64], 20_000) // that do not get smaller by compression
	for i := range points {
		points[i] = metricdata.DataPoint[float64]{Time: time.Now(), Value: rand.NormFloat64()}
	}
	require.NoError(t, exporter.Export(t.Context(), &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
		Metrics: []metricdata.Metrics{{Name: "g", Data: metricdata.Gauge[float64]{DataPoints: points}}}}}}))
	require.NoError(t, exporter.Shutdown(waiting(t)))
	assert.Equal(t, uint64(20_000), exporter.Stats().Exported)
	assert.Positive(t, exporter.Status().BatchLimit)
}
