package jetstream

import (
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

func TestWhatIsTooOldIsDiscardedByTheServer(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, o := open(t, js, quick, WithPartitions(1), WithMaxAge(200*time.Millisecond))
	c := q.publisher.found().CachedInfo().Config
	assert.Equal(t, 200*time.Millisecond, c.MaxAge)
	assert.LessOrEqual(t, c.Duplicates, c.MaxAge)
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 1)))
	eventually(t, func() bool {
		b, err := q.Backlog(t.Context())
		return err == nil && b.Messages == 0
	}, "it is discarded")
	q.reconcile(t.Context(), everything)
	q.tell()
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonAge: 3}, o.dropped())
	requireConserved(t, q)
}

func TestAStreamThatWasMadeOtherwiseIsRefused(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	require.NoError(t, newExporter(t, js).publisher.find(t.Context()))
	for _, o := range []Option{WithReplicas(3), WithOverflow(queue.DropOldest)} {
		_, err := Open(t.Context(), js, o)
		require.ErrorIs(t, err, ErrMismatch)
	}
	c, err := newConfig([]Option{WithStream("LIMITS"), WithSubject("limits")})
	require.NoError(t, err)
	limits := c.streamConfig(1)
	limits.Retention = natsjs.LimitsPolicy
	_, err = js.CreateStream(t.Context(), limits)
	require.NoError(t, err)
	_, err = Open(t.Context(), js, WithStream("LIMITS"), WithSubject("limits"))
	require.ErrorIs(t, err, ErrMismatch)
}

func TestAConsumerThatWasMadeOtherwiseIsRefused(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	e := newExporter(t, js, WithPartitions(1))
	require.NoError(t, e.publisher.find(t.Context()))
	c := e.config
	for want, change := range map[string]func(*natsjs.ConsumerConfig){
		"the subject":                     func(c *natsjs.ConsumerConfig) { c.FilterSubject = "asyncmetric.part.*" },
		"the time for an acknowledgement": func(c *natsjs.ConsumerConfig) { c.AckWait = time.Minute },
	} {
		wrong := natsjs.ConsumerConfig{Durable: consumerName(0), FilterSubject: c.partSubject(0), AckPolicy: natsjs.AckExplicitPolicy, AckWait: c.takeover, MaxAckPending: 1}
		change(&wrong)
		_, err := js.CreateConsumer(t.Context(), c.stream, wrong)
		require.NoError(t, err)
		_, err = findConsumer(t.Context(), js, &c, 0)
		require.ErrorIs(t, err, ErrMismatch)
		require.ErrorContains(t, err, want)
		require.NoError(t, js.DeleteConsumer(t.Context(), c.stream, consumerName(0)))
	}
	_, err := js.CreateConsumer(t.Context(), c.stream, natsjs.ConsumerConfig{Durable: consumerName(0), FilterSubject: c.partSubject(0), AckPolicy: natsjs.AckExplicitPolicy, AckWait: time.Second})
	require.NoError(t, err)
	_, err = Open(t.Context(), js)
	require.ErrorIs(t, err, ErrMismatch)
}

func TestAStreamInMemory(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, WithMemoryStorage(), PublishOnly())
	assert.Equal(t, natsjs.MemoryStorage, q.publisher.found().CachedInfo().Config.Storage)
}

func TestARecordWithoutDataPointsIsDismissed(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	empty, err := frame.EncodeCollection(ofProcess(0, 0, 0), maxData)
	require.NoError(t, err)
	publish(t, js, empty)
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 1, 7)))
	e := take(t, q)
	assert.Equal(t, 1, e.Points())
	require.NoError(t, e.Settle(queue.Outcome{Exported: 1}))
	awaitEmpty(t, q)
	assert.Zero(t, deadLetters(t, js))
}
