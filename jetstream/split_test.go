package jetstream

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// smallPayload returns a connection to a server that takes messages of 4 KiB.
func smallPayload(t *testing.T) natsjs.JetStream {
	t.Helper()
	return connect(t, startServer(t, func(o *server.Options) { o.MaxPayload = 4 << 10 }).ClientURL())
}

// text returns text that does not compress.
func text(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + rand.IntN(64))
	}
	return string(b)
}

// incompressible returns a collection of n data points that take 45 bytes each at
// least.
func incompressible(n int) *metricdata.ResourceMetrics {
	rm := metrictest.Numbers(n, 1)
	for _, m := range rm.ScopeMetrics[0].Metrics {
		points := m.Data.(metricdata.Sum[int64]).DataPoints
		for i := range points {
			points[i].Attributes = attribute.NewSet(attribute.String("k", text(60)))
		}
	}
	return rm
}

// grow gives a stream more room.
func grow(t *testing.T, js natsjs.JetStream) {
	t.Helper()
	s, err := js.Stream(t.Context(), "ASYNCMETRIC")
	require.NoError(t, err)
	c := s.CachedInfo().Config
	c.MaxBytes = 1 << 28
	_, err = js.UpdateStream(t.Context(), c)
	require.NoError(t, err)
}

func TestACollectionLargerThanThePayloadIsSplit(t *testing.T) {
	js := smallPayload(t)
	q, o := open(t, js)
	rm := metrictest.Mixed(2000)
	require.NoError(t, q.Put(t.Context(), rm))
	s := q.Stats()
	assert.Equal(t, 2000, s.Queued)
	assert.Greater(t, s.Collections, 1)
	for points := 0; points < 2000; {
		e := take(t, q)
		points += e.Points()
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
	assert.Equal(t, uint64(2000), q.Stats().Exported)

	huge := metrictest.Numbers(1, 1)
	set := attribute.NewSet(attribute.String("large", text(16<<10)))
	huge.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints[0].Attributes = set
	require.ErrorIs(t, q.Put(t.Context(), huge), ErrTooLarge)
	assert.Empty(t, o.dropped())
	requireConserved(t, q)
}

func TestACollectionThatWasSplitAndStoredInPartIsCompleted(t *testing.T) {
	js := smallPayload(t)
	e := newExporter(t, js, WithMaxBytes(8<<10))
	rm := metrictest.Mixed(2000)
	require.ErrorIs(t, e.Export(t.Context(), rm), queue.ErrFull)
	grow(t, js)
	require.NoError(t, e.Export(t.Context(), rm))

	relay, _ := open(t, js)
	points := 0
	for points < 2000 {
		e := take(t, relay)
		points += e.Points()
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
	require.Equal(t, 2000, points)
	backlog, err := relay.Backlog(t.Context())
	require.NoError(t, err)
	assert.Zero(t, backlog.Messages)
}

func TestNoPartOfManyIsStoredTwice(t *testing.T) {
	js := smallPayload(t)
	rm := incompressible(6000)
	e := newExporter(t, js, WithMaxBytes(250<<10), WithMemoryStorage())
	p, err := e.publisher.pack(t.Context(), rm)
	require.NoError(t, err)
	require.ErrorIs(t, e.Export(t.Context(), rm), queue.ErrFull)
	s, err := js.Stream(t.Context(), "ASYNCMETRIC")
	require.NoError(t, err)
	require.Greater(t, s.CachedInfo().State.Msgs, uint64(64), "parts that are stored already")
	grow(t, js)
	require.NoError(t, e.Export(t.Context(), rm))
	s, err = js.Stream(t.Context(), "ASYNCMETRIC")
	require.NoError(t, err)
	assert.Equal(t, uint64(len(p.records)), s.CachedInfo().State.Msgs)
}

func TestAPutOfWhichAPartIsStoredAcceptsTheCollection(t *testing.T) {
	js := smallPayload(t)
	q, o := open(t, js, WithMaxBytes(20<<10), WithMemoryStorage(), WithPartitions(1))
	require.NoError(t, q.Put(t.Context(), incompressible(10)))
	require.NoError(t, q.Put(t.Context(), incompressible(1000)))
	s := q.Stats()
	assert.Equal(t, uint64(1010), s.Accepted)
	assert.Greater(t, s.Queued, 10, "the first parts")
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonOverflow: 1010 - s.Queued}, o.dropped())
	require.ErrorIs(t, o.drops[0].Err, queue.ErrFull)
	assert.Equal(t, uint64(2), o.drops[0].Position)
	requireConserved(t, q)
	require.ErrorIs(t, q.Put(t.Context(), incompressible(1000)), queue.ErrFull, "nothing of it is stored")
	assert.Equal(t, s, q.Stats(), "what is refused is in no counter")
}

func TestTheRestOfACollectionIsDroppedWhereItsTimeIsOver(t *testing.T) {
	js := smallPayload(t)
	q, o := open(t, js, WithPartitions(1), PublishOnly())
	ctx, cancel := context.WithCancel(t.Context())
	parts := 0
	sub, err := js.Conn().Subscribe("asyncmetric.part.0", func(*nats.Msg) {
		if parts++; parts == 2 { // the first one is acknowledged
			cancel()
		}
	})
	require.NoError(t, err)
	defer func() { _ = sub.Unsubscribe() }()
	require.NoError(t, q.Put(ctx, incompressible(6000)))
	s := q.Stats()
	assert.Positive(t, s.Exported)
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonElapsed: 6000 - int(s.Exported)}, o.dropped())
	requireConserved(t, q)
}

func TestInFrontWhatFitsCountsAsExported(t *testing.T) {
	js := smallPayload(t)
	front, err := asyncmetric.New(newExporter(t, js))
	require.NoError(t, err)
	rm := incompressible(100)
	points := rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints
	points[0].Attributes = attribute.NewSet(attribute.String("large", text(8<<10)))
	require.NoError(t, front.Export(t.Context(), rm))
	require.ErrorIs(t, front.ForceFlush(waiting(t)), ErrTooLarge)
	s := front.Stats()
	assert.Equal(t, uint64(99), s.Exported)
	assert.Equal(t, uint64(1), s.Dropped)
	require.NoError(t, front.Shutdown(waiting(t)))
}

func TestALimitOfTheAccountIsAFullStream(t *testing.T) {
	s := startServer(t, nil)
	js := connect(t, s.ClientURL())
	e := newExporter(t, js, WithMaxBytes(1<<20))
	handOver(t, e, 1, 0, 1)
	require.NoError(t, s.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": {
		MaxMemory: -1, MaxStore: 100, MaxStreams: -1, MaxConsumers: -1,
	}}))
	err := e.Export(t.Context(), ofProcess(0, 3, 2))
	require.ErrorIs(t, err, queue.ErrFull)
	assert.True(t, isRetried(err))
}
