package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// told is what an observer was told.
type told struct {
	mu     sync.Mutex
	drops  []queue.Drop
	failed []error
}

func (o *told) observer() queue.Observer {
	return queue.Observer{
		Dropped: func(d queue.Drop) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.drops = append(o.drops, d)
		},
		Failed: func(err error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.failed = append(o.failed, err)
		},
	}
}

// dropped returns the data points dropped for each reason.
func (o *told) dropped() map[queue.DropReason]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	sum := make(map[queue.DropReason]int)
	for _, d := range o.drops {
		sum[d.Reason] += d.Points
	}
	return sum
}

func (o *told) failures() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return errors.Join(o.failed...)
}

// open opens and starts a queue that reports to what it returns.
func open(t testing.TB, js natsjs.JetStream, opts ...Option) (*Queue, *told) {
	t.Helper()
	q, o := openFor(t, js, opts...), new(told)
	require.NoError(t, q.Start(o.observer()))
	return q, o
}

// openFor opens a queue for an exporter. It is closed with the test, if it has
// not been before.
func openFor(t testing.TB, js natsjs.JetStream, opts ...Option) *Queue {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	q, err := Open(ctx, js, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// waiting returns a context for something that has to happen.
func waiting(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// take returns the next entry, which has to come.
func take(t testing.TB, q *Queue) queue.Entry {
	t.Helper()
	for ctx := waiting(t); ; {
		e, err := q.Take(ctx, queue.Limit{})
		if err == nil {
			return e
		}
		require.ErrorIs(t, err, queue.ErrEmpty)
		select {
		case <-q.Ready():
		case <-ctx.Done():
			require.FailNow(t, "nothing comes", "%+v", q.Stats())
		}
	}
}

// awaitInHand waits until a queue has received n messages of partition 0, and
// may hand them out.
func awaitInHand(t *testing.T, q *Queue, n int) {
	t.Helper()
	eventually(t, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		p := &q.ledger.parts[0]
		return len(p.inHand()) == n && p.clear
	}, "it has received everything")
}

// awaitEmpty waits until the stream is empty; nothing may come any more.
func awaitEmpty(t testing.TB, q *Queue) {
	t.Helper()
	eventually(t, func() bool {
		_, err := q.Take(t.Context(), queue.Limit{})
		require.ErrorIs(t, err, queue.ErrEmpty)
		backlog, err := q.Backlog(t.Context())
		return err == nil && backlog.Messages == 0
	}, "the stream is empty")
}

func requireConserved(t testing.TB, q *Queue) {
	t.Helper()
	s := q.Stats()
	require.Equal(t, s.Accepted, s.Exported+s.Dropped+s.Coalesced+uint64(s.Queued), "%+v", s)
}

// ofProcess returns a collection of n data points of the process with a number.
func ofProcess(process, n int, value int64) *metricdata.ResourceMetrics {
	rm := metrictest.Numbers(n, value)
	rm.Resource = resource.NewSchemaless(attribute.Int("process", process))
	return rm
}

// A backend is what relays deliver to. It remembers what came from each
// process, in order.
type backend struct {
	mu      sync.Mutex
	values  map[int][]int64
	changed chan struct{} // closed, and made anew, when something came
}

func newBackend() *backend {
	return &backend{values: make(map[int][]int64), changed: make(chan struct{})}
}

func (b *backend) receive(rm *metricdata.ResourceMetrics) {
	process, _ := rm.Resource.Set().Value("process")
	b.mu.Lock()
	defer b.mu.Unlock()
	p := int(process.AsInt64())
	b.values[p] = append(b.values[p], metrictest.Value(rm))
	close(b.changed)
	b.changed = make(chan struct{})
}

// look returns how many values came first from a process, what is wrong with
// their order, and how many came again.
func (b *backend) look(process int) (distinct, again int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := make(map[int64]bool)
	newest := int64(-1)
	for _, v := range b.values[process] {
		switch {
		case seen[v]:
			again++
		case v < newest:
			err = fmt.Errorf("process %d: %d came first after %d", process, v, newest)
		}
		seen[v], newest = true, max(newest, v)
	}
	return len(seen), again, err
}

// await waits until n different values have come from each of the processes, and
// requires that they came in order. It returns how many came again.
func (b *backend) await(t testing.TB, processes, n int) (again int) {
	t.Helper()
	for ctx := waiting(t); ; {
		b.mu.Lock()
		changed := b.changed
		b.mu.Unlock()
		complete, sum := true, 0
		for p := range processes {
			distinct, again, err := b.look(p)
			require.NoError(t, err)
			complete = complete && distinct == n
			sum += again
		}
		if complete {
			return sum
		}
		select {
		case <-changed:
		case <-ctx.Done():
			for p := range processes {
				distinct, _, _ := b.look(p)
				t.Logf("process %d: %d of %d", p, distinct, n)
			}
			require.FailNow(t, "not everything has come")
		}
	}
}

// A relay is an exporter that delivers to a backend, on a connection of its
// own.
type relay struct {
	js       natsjs.JetStream
	queue    *Queue
	exporter *asyncmetric.Exporter
	inner    *metrictest.Exporter
	dead     chan struct{}
}

func startRelay(t testing.TB, url string, b *backend, delay time.Duration, opts ...Option) *relay {
	t.Helper()
	r := &relay{js: connect(t, url), dead: make(chan struct{})}
	r.queue = openFor(t, r.js, opts...)
	r.inner = &metrictest.Exporter{OnExport: func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
		if delay > 0 {
			_ = sleep(ctx, delay) // the time that a backend takes
		}
		select {
		case <-r.dead:
			<-ctx.Done()
			return ctx.Err()
		default:
			b.receive(rm)
			return nil
		}
	}}
	var err error
	r.exporter, err = asyncmetric.New(r.inner, asyncmetric.WithQueue(r.queue))
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.exporter.Shutdown(ctx)
	})
	return r
}

// kill ends a relay as the end of its process would: the connection breaks, and
// nothing is delivered any more.
func (r *relay) kill() {
	close(r.dead)
	closeConn(r.js.Conn())
}

// handOver publishes n collections of each process, in turn, with values from
// first on.
func handOver(t testing.TB, e metric.Exporter, processes, first, n int) {
	t.Helper()
	for i := range n {
		for p := range processes {
			require.NoError(t, e.Export(waiting(t), ofProcess(p, 3, int64(first+i))))
		}
	}
}

func newExporter(t testing.TB, js natsjs.JetStream, opts ...Option) *Exporter {
	t.Helper()
	e, err := NewExporter(js, opts...)
	require.NoError(t, err)
	return e
}

// awaitPassed waits until everything that a queue has put has ended.
func awaitPassed(t testing.TB, q *Queue) {
	t.Helper()
	last := q.Stats().Last
	for ctx := waiting(t); !q.Stats().Passed(last); {
		select {
		case <-q.Ready():
		case <-ctx.Done():
			require.FailNow(t, "it has not ended", "%+v", q.Stats())
		}
	}
}

// isRetried reports whether an exporter in front makes another attempt after an
// error.
func isRetried(err error) bool {
	return asyncmetric.DefaultClassify(err).Action == asyncmetric.ActionRetry
}

// eventually requires that something becomes true.
func eventually(t testing.TB, f func() bool, msg string) {
	t.Helper()
	require.Eventually(t, f, patience, 10*time.Millisecond, msg)
}
