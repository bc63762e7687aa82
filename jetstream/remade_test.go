package jetstream

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// The stream is deleted, or lost, and somebody makes it again: its messages have
// the numbers that others had before.

// A forgetful server is one that can be restarted on the same port.
type forgetful struct {
	options func(*server.Options)
	server  *server.Server
}

func startForgetful(t *testing.T) *forgetful {
	t.Helper()
	dir, port := t.TempDir(), freePorts(t, 1)[0]
	f := &forgetful{options: func(o *server.Options) { o.StoreDir, o.Port = dir, port }}
	f.server = startServer(t, f.options)
	return f
}

func (f *forgetful) url() string { return f.server.ClientURL() }

// restart forgets the streams in memory.
func (f *forgetful) restart(t *testing.T) {
	t.Helper()
	stopServer(f.server)
	f.server = startServer(t, f.options)
}

func TestDeliveryGoesOnWhereAStreamInMemoryWasLost(t *testing.T) {
	s := startForgetful(t)
	opts := []Option{quick, WithPartitions(1), WithMemoryStorage()}
	q, _ := open(t, connect(t, s.url()), opts...)
	app := newExporter(t, connect(t, s.url()), opts...)
	handOver(t, app, 1, 0, 1)
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	s.restart(t)
	handOver(t, app, 1, 1, 3)
	for i := range int64(3) {
		e := take(t, q)
		assert.Equal(t, i+1, metrictest.Value(e.Collection()))
		require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	}
}

func TestWhatHasTheNumberOfALostMessageIsDelivered(t *testing.T) {
	s := startForgetful(t)
	opts := []Option{quick, WithPartitions(1), WithMemoryStorage()}
	q, _ := open(t, connect(t, s.url()), opts...)
	handOver(t, newExporter(t, connect(t, s.url()), opts...), 1, 0, 1)
	slow := take(t, q) // the backend takes its time
	s.restart(t)
	handOver(t, newExporter(t, connect(t, s.url()), opts...), 1, 100, 3)
	js := connect(t, s.url())
	_, err := findConsumer(t.Context(), js, &q.config, 0) // as another relay that starts
	require.NoError(t, err)
	for i := range int64(3) {
		e := take(t, q)
		assert.Equal(t, 100+i, metrictest.Value(e.Collection()))
		if i == 1 {
			require.NoError(t, slow.Settle(queue.Outcome{Exported: 3}))
		}
		require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	}
	requireConserved(t, q)
}

// A machine that crashes may lose what it had not written to its disk.
func TestAStreamThatLostItsTailIsDelivered(t *testing.T) {
	s := startForgetful(t)
	dir, saved := s.server.StoreDir(), filepath.Join(t.TempDir(), "saved")
	q, o := open(t, connect(t, s.url()), quick, WithPartitions(1))
	app := newExporter(t, connect(t, s.url()))
	handOver(t, app, 1, 0, 1)
	require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	stopServer(s.server)
	require.NoError(t, os.CopyFS(saved, os.DirFS(dir)))
	s.server = startServer(t, s.options)
	for i := range int64(3) {
		require.NoError(t, q.Put(waiting(t), ofProcess(0, 2, 100+i)))
	}
	stopServer(s.server)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.CopyFS(dir, os.DirFS(saved)))
	s.server = startServer(t, s.options)
	handOver(t, app, 1, 1, 1)
	e := take(t, q)
	require.Equal(t, int64(1), metrictest.Value(e.Collection()))
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	awaitPassed(t, q)
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonCorrupt: 6}, o.dropped())
	requireConserved(t, q)
}

func TestWhatWasBeforeHidesNothingInAStreamThatWasMadeAgain(t *testing.T) {
	const n = 30
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	handOver(t, newExporter(t, js), 1, 0, n)
	for range n {
		require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	}
	all := func(*natsjs.StreamInfo) bool { return true }
	q.reconcile(t.Context(), all) // all before n+1 has ended
	require.NoError(t, js.DeleteStream(t.Context(), "ASYNCMETRIC"))
	eventually(t, func() bool { return q.publisher.findAgain(t.Context()) == nil }, "it is made again")

	// The message comes before Put knows that it is stored.
	p, err := q.publisher.pack(t.Context(), ofProcess(0, 3, 777))
	require.NoError(t, err)
	var e queue.Entry
	err = q.publisher.send(t.Context(), p, func(r record, a ack) {
		e = take(t, q)
		q.stored(r, a)
	})
	require.NoError(t, err)
	assert.Equal(t, int64(777), metrictest.Value(e.Collection()))
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	q.reconcile(t.Context(), all)
	requireConserved(t, q)
	assert.Equal(t, uint64(3*(n+1)), q.Stats().Exported)
}

func TestAPutIntoAStreamThatWasMadeAgainCountsOnce(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, o := open(t, js, quick, WithPartitions(1))
	for i := range int64(3) {
		require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, i)))
		require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	}
	require.NoError(t, js.DeleteStream(t.Context(), "ASYNCMETRIC"))
	require.NoError(t, newExporter(t, js, WithPartitions(1)).publisher.find(t.Context()))
	require.NoError(t, q.Put(t.Context(), ofProcess(0, 3, 77)))
	e := take(t, q)
	assert.Equal(t, int64(77), metrictest.Value(e.Collection()))
	require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
	assert.Equal(t, uint64(12), q.Stats().Exported)
	assert.Equal(t, uint64(12), q.Stats().Accepted)
	assert.Empty(t, o.dropped())
}

func TestAStreamIsMadeAgainWithAsManyPartitions(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(8))
	app := newExporter(t, js)
	handOver(t, app, 1, 0, 1)
	require.NoError(t, js.DeleteStream(t.Context(), "ASYNCMETRIC"))
	handOver(t, app, 10, 1, 1)
	for range 10 {
		require.NoError(t, take(t, q).Settle(queue.Outcome{Exported: 3}))
	}
	s, err := js.Stream(t.Context(), "ASYNCMETRIC")
	require.NoError(t, err)
	assert.Len(t, s.CachedInfo().Config.Subjects, 8)
}

func TestAStreamThatChangedItsPartitionsIsRefused(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	app := newExporter(t, js, WithPartitions(8))
	handOver(t, app, 10, 0, 1)
	require.NoError(t, js.DeleteStream(t.Context(), "ASYNCMETRIC"))
	require.NoError(t, newExporter(t, js, WithPartitions(2)).publisher.find(t.Context()))
	var refused int // before, and for good once it has been noticed
	for p := range 10 {
		if err := app.Export(t.Context(), ofProcess(p, 3, 1)); err != nil {
			refused++
			require.ErrorIs(t, err, ErrMismatch)
			assert.True(t, isRetried(err), "somebody may mend it")
		} else {
			require.Zero(t, refused, "what is refused once is refused always")
		}
	}
	require.Positive(t, refused)
	require.NoError(t, js.DeleteStream(t.Context(), "ASYNCMETRIC"))
	require.NoError(t, app.Export(t.Context(), ofProcess(0, 3, 2)))
}

func TestALateWordOfTheStreamBeforeIsIgnored(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1), PublishOnly())
	before := q.publisher.found().CachedInfo()
	require.NoError(t, js.DeleteStream(t.Context(), "ASYNCMETRIC"))
	eventually(t, func() bool { return q.publisher.findAgain(t.Context()) == nil }, "it is made again")
	now := q.publisher.found().CachedInfo().Created
	q.follow(before)
	assert.Equal(t, now, q.created)
}

func TestDeadLettersOfBothStreamsAreKept(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	q, _ := open(t, js, quick, WithPartitions(1))
	for _, letter := range []string{"one", "two"} {
		_, err := js.Publish(t.Context(), "asyncmetric.part.0", []byte(letter))
		require.NoError(t, err)
		awaitEmpty(t, q)
		require.NoError(t, js.DeleteStream(t.Context(), "ASYNCMETRIC"))
		require.NoError(t, newExporter(t, js, WithPartitions(1)).publisher.find(t.Context()))
	}
	dead, err := js.Stream(t.Context(), "ASYNCMETRIC_DEAD")
	require.NoError(t, err)
	assert.Equal(t, uint64(2), dead.CachedInfo().State.Msgs)
}
