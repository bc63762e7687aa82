package asyncmetric_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// observedQueue is a queue in memory whose Take a test can get in before.
type observedQueue struct {
	*queue.Memory
	beforeTake func(ctx context.Context, waiting int) error
}

func newObservedQueue(t *testing.T, beforeTake func(context.Context, int) error) *observedQueue {
	t.Helper()
	m, err := queue.NewMemory(1000, queue.DropOldest)
	require.NoError(t, err)
	return &observedQueue{m, beforeTake}
}

func (q *observedQueue) Take(ctx context.Context, limit queue.Limit) (queue.Entry, error) {
	s := q.Stats()
	if err := q.beforeTake(ctx, s.Queued-s.InFlight); err != nil {
		return nil, err
	}
	return q.Memory.Take(ctx, limit)
}

// A flush may begin when delivery has looked at the flushes and has not taken
// the next collection yet; that one may even be accepted in between.
func TestFlushDoesNotWaitForWhatIsTakenBehindIt(t *testing.T) {
	for name, opts := range map[string][]asyncmetric.Option{
		"alone":     nil,
		"lingering": {asyncmetric.WithMerging(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var e *asyncmetric.Exporter
				started := make(chan struct{})
				flushed := make(chan error, 1)
				once := false
				q := newObservedQueue(t, func(context.Context, int) error {
					<-started
					if once {
						return nil
					}
					once = true
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					go func() { defer cancel(); flushed <- e.ForceFlush(ctx) }()
					time.Sleep(time.Second) // it has begun, and waits for nothing
					return e.Export(t.Context(), metrictest.Numbers(1, 1))
				})
				g := newGate()
				inner := &metrictest.Exporter{OnExport: g.stuck}
				e, _ = start(t, inner, append(opts, asyncmetric.WithQueue(q))...)
				close(started)
				assert.NoError(t, <-flushed)
				assert.Equal(t, 1, inner.Count("ForceFlush"))
				close(g.open)
				shutdown(t, e, inner)
			})
		})
	}
}

// Taking one more collection may wait for a disk or a network. What has been
// taken must not wait with it for long, and not at all for a flush.
func TestWhatIsInHandDoesNotWaitForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newObservedQueue(t, func(ctx context.Context, waiting int) error {
			if waiting > 0 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		inner := &metrictest.Exporter{}
		require.NoError(t, q.Put(t.Context(), metrictest.Numbers(1, 1)))
		e, _ := start(t, inner, asyncmetric.WithQueue(q), asyncmetric.WithMerging(0))
		elapse(time.Second)
		assert.Equal(t, []int64{1}, metrictest.Values(inner.Delivered()))
		_ = e.Shutdown(t.Context())
		assert.Equal(t, 1, inner.Count("Shutdown"))
	})
}

func TestWhoIsToldOfADropFindsItCounted(t *testing.T) {
	inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
		return errors.New("refused")
	}}
	var e *asyncmetric.Exporter
	var told []asyncmetric.Drop
	started := make(chan struct{})
	e, err := asyncmetric.New(inner, append((&record{}).options(), asyncmetric.WithMaxExportBatchSize(2),
		asyncmetric.WithOnDrop(func(d asyncmetric.Drop) {
			<-started
			told = append(told, d)
			assert.Equal(t, uint64(4), e.Stats().Dropped)
			assert.Zero(t, e.Stats().Queued)
		}))...)
	require.NoError(t, err)
	close(started)
	require.NoError(t, e.Export(t.Context(), metrictest.Numbers(4, 1)))
	_ = e.Shutdown(t.Context())
	assert.Len(t, told, 2, "one for each batch, since each has an error of its own")
}

// A typed error of an exporter may panic when it is printed.
func TestErrorsOfFlushAndShutdownCanBePrinted(t *testing.T) {
	evil := func(context.Context) error { return panicky{errors.New("inside")} }
	inner := &metrictest.Exporter{OnForceFlush: evil, OnShutdown: evil}
	e, _ := start(t, inner)
	flushErr, downErr := e.ForceFlush(t.Context()), e.Shutdown(t.Context())
	assert.ErrorContains(t, flushErr, ": ForceFlush of the inner exporter: ")
	assert.ErrorContains(t, downErr, ": Shutdown of the inner exporter: ")
}

func TestShutdownKeepsTimeForTheShutdownOfTheInnerExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := time.Duration(0)
		inner := &metrictest.Exporter{
			OnForceFlush: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			OnShutdown: func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				left = time.Until(deadline)
				return nil
			},
		}
		e, _ := start(t, inner)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_ = e.Shutdown(ctx)
		assert.Positive(t, left)
	})
}

func TestAFailingTakeIsRepeatedAfterABackOffSignalsOrNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, tried := true, 0
		q := newObservedQueue(t, func(context.Context, int) error {
			tried++
			if broken {
				return errors.New("the disk is broken")
			}
			return nil
		})
		inner := &metrictest.Exporter{}
		e, r := start(t, inner, asyncmetric.WithQueue(q), fixed)
		for range 600 {
			export(t, e, 1) // each of them signals
			elapse(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, tried, 1+1+1+15, "after 1 s, 2 s, 4 s, and each 4 s from then on")
		require.NotEmpty(t, r.errors())
		assert.ErrorContains(t, r.errors()[0], "taking from the queue: the disk is broken")
		broken = false
		elapse(4 * time.Second)
		assert.Equal(t, uint64(600), e.Stats().Exported)
		shutdown(t, e, inner)
	})
}

func TestAFlushWithNothingToWaitForIsServedWhileTheQueueFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newObservedQueue(t, func(context.Context, int) error { return errors.New("the disk is broken") })
		e, _ := start(t, &metrictest.Exporter{}, asyncmetric.WithQueue(q))
		elapse(time.Minute)
		begin := time.Now()
		assert.NoError(t, e.ForceFlush(t.Context()))
		assert.Zero(t, time.Since(begin))
		require.NoError(t, giveUpOf(e, time.Second), "nothing is queued")
	})
}

// giveUpOf shuts e down within d.
func giveUpOf(e *asyncmetric.Exporter, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return e.Shutdown(ctx)
}

func TestShutdownDoesNotWaitForTheBackOffOfTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		q := newObservedQueue(t, func(context.Context, int) error {
			if broken {
				return errors.New("the disk is broken")
			}
			return nil
		})
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithQueue(q), asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Hour}))
		export(t, e, 1)
		elapse(time.Second)
		broken = false
		begin := time.Now()
		shutdown(t, e, inner)
		assert.Zero(t, time.Since(begin))
		assert.Equal(t, uint64(1), e.Stats().Exported)
	})
}

// panickyQueue panics in one of its methods, for a time.
type panickyQueue struct {
	*queue.Memory
	in string
}

func (q *panickyQueue) act(method string) {
	if q.in == method {
		panic("queue")
	}
}

func (q *panickyQueue) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	q.act("Put")
	return q.Memory.Put(ctx, rm)
}

func (q *panickyQueue) Take(ctx context.Context, l queue.Limit) (queue.Entry, error) {
	q.act("Take")
	entry, err := q.Memory.Take(ctx, l)
	return panickyEntry{entry, q}, err
}

func (q *panickyQueue) Stats() queue.Stats {
	q.act("Stats")
	return q.Memory.Stats()
}

func (q *panickyQueue) Seal() {
	q.Memory.Seal()
	q.act("Seal")
}

func (q *panickyQueue) Close() error {
	_ = q.Memory.Close()
	q.act("Close")
	return nil
}

type panickyEntry struct {
	queue.Entry
	queue *panickyQueue
}

func (e panickyEntry) Collection() *metricdata.ResourceMetrics {
	e.queue.act("Collection")
	return e.Entry.Collection()
}

func (e panickyEntry) Settle(o queue.Outcome) error {
	e.queue.act("Settle")
	return e.Entry.Settle(o)
}

func TestPanicsOfTheQueueAreReportedAndEndNothing(t *testing.T) {
	for _, method := range []string{"Put", "Take", "Stats", "Collection", "Settle", "Seal", "Close"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, err := queue.NewMemory(1000, queue.DropOldest)
				require.NoError(t, err)
				q := &panickyQueue{Memory: m, in: method}
				inner := &metrictest.Exporter{}
				e, r := start(t, inner, asyncmetric.WithQueue(q))
				err = e.Export(t.Context(), metrictest.Numbers(1, 1))
				if method == "Put" {
					assert.ErrorIs(t, err, asyncmetric.ErrPanic)
					assert.Equal(t, uint64(1), e.Stats().Refused)
				}
				elapse(10 * time.Second)
				_, _ = e.Stats(), e.Status()
				if method != "Seal" && method != "Close" {
					q.in = ""
					elapse(time.Minute)
					export(t, e, 2)
					elapse(time.Minute)
					assert.Contains(t, metrictest.Values(inner.Delivered()), int64(2), "delivery goes on")
					assert.Zero(t, e.Stats().Queued)
				}
				err = e.Shutdown(t.Context())
				if method == "Close" {
					assert.ErrorIs(t, err, asyncmetric.ErrPanic)
				} else if method != "Put" {
					require.NotEmpty(t, r.errors())
					assert.ErrorIs(t, r.errors()[0], asyncmetric.ErrPanic)
				}
				assert.Equal(t, 1, inner.Count("Shutdown"))
			})
		})
	}
}

// An attempt may end with runtime.Goexit: a test double calls t.FailNow.
func TestGoexitOfAnInnerExporterEndsOnlyItsBatch(t *testing.T) {
	for name, more := range map[string]func(*testing.T) []asyncmetric.Option{
		"alone":          func(*testing.T) []asyncmetric.Option { return nil },
		"with a replica": func(*testing.T) []asyncmetric.Option { _, opt := replicas(2); return []asyncmetric.Option{opt} },
		"in a durable one": func(t *testing.T) []asyncmetric.Option {
			return []asyncmetric.Option{asyncmetric.WithQueue(keeping(t))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				exit := func(context.Context) error { runtime.Goexit(); return nil }
				inner := &metrictest.Exporter{OnForceFlush: exit, OnExport: func(ctx context.Context, _ *metricdata.ResourceMetrics) error {
					if calls.Add(1) == 1 {
						return exit(ctx)
					}
					return nil
				}}
				e, r := start(t, inner, append(more(t), asyncmetric.WithMaxExportBatchSize(1))...)
				for v := range int64(3) {
					require.NoError(t, e.Export(t.Context(), metrictest.Numbers(2, v)))
				}
				elapse(time.Minute)
				assert.Equal(t, uint64(5), e.Stats().Exported)
				assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 1}, r.dropped())
				assert.ErrorContains(t, e.ForceFlush(t.Context()), "runtime.Goexit in ForceFlush of the inner exporter")
				assert.ErrorContains(t, e.Shutdown(t.Context()), "runtime.Goexit in ForceFlush of the inner exporter")
				assertSettled(t, e.Stats())
				assert.Equal(t, 1, inner.Count("Shutdown"))
			})
		})
	}
}

func TestWhatDeliveryIsInterruptedInWaitsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := queue.NewMemory(1000, queue.DropOldest)
		require.NoError(t, err)
		q := &panickyQueue{Memory: m, in: "Collection"}
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithQueue(q))
		export(t, e, 1, 2)
		elapse(time.Minute)
		assert.Zero(t, e.Stats().InFlight)
		assert.Equal(t, 2, e.Stats().Queued)
		q.in = ""
		elapse(time.Minute)
		assert.Equal(t, []int64{1, 2}, metrictest.Values(inner.Delivered()))
		shutdown(t, e, inner)
	})
}
