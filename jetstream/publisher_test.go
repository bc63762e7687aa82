package jetstream

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/queue"
)

func TestWhatWasDoubtfulIsForgottenOnceItIsStored(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	e := newExporter(t, js)
	p, err := e.publisher.pack(waiting(t), ofProcess(0, 3, 7))
	require.NoError(t, err)
	l := e.publisher.lane(p.resource)
	l.doubt("lost", p.records[0].data, false)
	l.doubt("lost", p.records[0].data, false)
	require.Len(t, l.doubtful, 1)
	require.NoError(t, e.Export(t.Context(), ofProcess(0, 3, 7)))
	assert.Empty(t, l.doubtful)
}

func TestAnExportWhoseAnswerIsLostIsStoredOnce(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	line := newLine(t, url)
	e := newExporter(t, connect(t, line.url))
	handOver(t, e, 1, 0, 1)
	line.cut()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, e.Export(ctx, ofProcess(0, 3, 1)), context.DeadlineExceeded)
	line.mend() // what was sent arrives now
	require.NoError(t, e.Export(waiting(t), ofProcess(0, 3, 1)))
	s, err := connect(t, url).Stream(t.Context(), "ASYNCMETRIC")
	require.NoError(t, err)
	assert.Equal(t, uint64(2), s.CachedInfo().State.Msgs)
}

func TestAMessageSaysHowManyPointsWereStoredBefore(t *testing.T) {
	js := smallPayload(t)
	q, _ := open(t, js, WithMaxBytes(20<<10), WithMemoryStorage(), PublishOnly(), WithPartitions(1))
	rm := incompressible(1000)
	require.NoError(t, q.Put(t.Context(), rm), "a part of it is stored")
	require.NotZero(t, q.Stats().Dropped)
	assert.Equal(t, q.Stats().Exported, q.publisher.lanes[0].stored)
}

func TestOnlyTheLatestWordOfTheServerIsAboutPermissions(t *testing.T) {
	url := startServer(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"asyncmetric.part.0"}}}}}
	}).ClientURL()
	js := connect(t, "nats://u:p@"+url[len("nats://"):])
	p := newExporter(t, js).publisher
	require.NoError(t, js.Conn().Publish("asyncmetric.part.0", nil))
	eventually(t, func() bool { return js.Conn().LastError() != nil }, "the server says so")
	assert.True(t, p.forbidden("asyncmetric.part.0", nil))
	assert.False(t, p.forbidden("asyncmetric.part.0", js.Conn().LastError()), "it said so before")
	assert.False(t, p.forbidden("asyncmetric.part.1", nil), "it said so of another subject")
}

func TestAMessageThatIsTooLargeForAnotherServerIsPackedAgain(t *testing.T) {
	e := newExporter(t, connect(t, startServer(t, nil).ClientURL()))
	assert.True(t, isRetried(e.publisher.failed(t.Context(), nats.ErrMaxPayload)))
}

func TestAnExporterDoesAsItsOptionsSay(t *testing.T) {
	e := newExporter(t, connect(t, startServer(t, nil).ClientURL()),
		WithTemporalitySelector(func(metric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }),
		WithAggregationSelector(func(metric.InstrumentKind) metric.Aggregation { return metric.AggregationDrop{} }))
	assert.Equal(t, metricdata.DeltaTemporality, e.Temporality(metric.InstrumentKindCounter))
	assert.Equal(t, metric.AggregationDrop{}, e.Aggregation(metric.InstrumentKindCounter))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, e.ForceFlush(ctx), context.Canceled)
	require.NoError(t, e.Shutdown(t.Context()))
	require.ErrorIs(t, e.Shutdown(t.Context()), metric.ErrExporterShutdown)
}

func TestWhoeverNoticesItselfWhatIsDiscardedDoesNotTell(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	relay, _ := open(t, js, WithPartitions(1))
	app, _ := open(t, js, PublishOnly())
	s := app.publisher.found()
	require.NoError(t, app.Put(t.Context(), ofProcess(0, 3, 1)))
	msg, err := s.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "0 3", msg.Header.Get(header))
	require.NoError(t, relay.Put(t.Context(), ofProcess(0, 3, 2)))
	msg, err = s.GetMsg(t.Context(), 2)
	require.NoError(t, err)
	assert.Equal(t, "- 3", msg.Header.Get(header), "it notices itself what is discarded")
}

func TestWhatOTLPCannotExpressIsLeftOut(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, o := open(t, js, WithPartitions(1))
	rm := ofProcess(0, 3, 7)
	before1970 := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	rm.ScopeMetrics[0].Metrics = append(rm.ScopeMetrics[0].Metrics, metricdata.Metrics{Name: "unfit",
		Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{Time: before1970}, {Time: before1970}}}})
	require.NoError(t, q.Put(t.Context(), rm))
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonPermanent: 2}, o.dropped())
	e := take(t, q)
	assert.Equal(t, 3, e.Points())
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	requireConserved(t, q)
	var partial PartialSuccess
	require.ErrorAs(t, newExporter(t, js).Export(t.Context(), rm), &partial)
	assert.Equal(t, int64(2), partial.RejectedItems)
}

func TestErrorsThatPass(t *testing.T) {
	for _, err := range []error{
		&natsjs.APIError{Code: 503}, nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, nats.ErrTimeout,
		nats.ErrNoResponders, natsjs.ErrNoStreamResponse, nats.ErrDisconnected, context.DeadlineExceeded,
	} {
		assert.True(t, isPassing(err), "%v", err)
	}
	assert.False(t, isPassing(&natsjs.APIError{Code: 400}))
	js := connect(t, startServer(t, nil).ClientURL())
	c, err := newConfig(nil)
	require.NoError(t, err)
	made := c.streamConfig(1)
	made.MaxMsgs = 1
	_, err = js.CreateStream(t.Context(), made)
	require.NoError(t, err)
	e := newExporter(t, js)
	handOver(t, e, 1, 0, 1)
	require.ErrorIs(t, e.Export(t.Context(), ofProcess(0, 3, 1)), queue.ErrFull)
}
