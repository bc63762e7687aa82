package asyncmetric_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
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

// Taking one more collection may wait for a disk or a network. What has been
// taken must not wait with it for long, and not at all for a flush.
func TestEntriesInFlightDoNotWaitForASlowQueue(t *testing.T) {
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

func TestAFailingTakeIsRepeatedAfterABackOffWhateverTheQueueSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		var tried atomic.Int64
		q := newObservedQueue(t, func(context.Context, int) error {
			tried.Add(1)
			if broken.Load() {
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
		assert.LessOrEqual(t, tried.Load(), int64(1+1+1+15), "after 1 s, 2 s, 4 s, and each 4 s from then on")
		require.NotEmpty(t, r.errors())
		assert.ErrorContains(t, r.errors()[0], "taking from the queue: the disk is broken")
		broken.Store(false)
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

func TestShutdownDoesNotWaitForTheBackOffOfTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		q := newObservedQueue(t, func(context.Context, int) error {
			if broken.Load() {
				return errors.New("the disk is broken")
			}
			return nil
		})
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithQueue(q), asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Hour}))
		export(t, e, 1)
		elapse(time.Second)
		broken.Store(false)
		begin := time.Now()
		shutdown(t, e, inner)
		assert.Zero(t, time.Since(begin))
		assert.Equal(t, uint64(1), e.Stats().Exported)
	})
}

func TestPanicsOfTheQueueAreReportedAndEndNothing(t *testing.T) {
	for _, method := range []string{"Put", "Take", "Stats", "Collection", "Settle", "Seal", "Close"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newPanickyQueue(t, method)
				inner := &metrictest.Exporter{}
				e, r := start(t, inner, asyncmetric.WithQueue(q))
				err := e.Export(t.Context(), metrictest.Numbers(1, 1))
				if method == "Put" {
					assert.ErrorIs(t, err, asyncmetric.ErrPanic)
					assert.Equal(t, uint64(1), e.Stats().Refused)
				}
				elapse(10 * time.Second)
				_, _ = e.Stats(), e.Status()
				if method != "Seal" && method != "Close" {
					q.in.Store("")
					elapse(time.Minute)
					export(t, e, 2)
					elapse(time.Minute)
					assert.Contains(t, metrictest.Values(inner.Delivered()), int64(2), "the worker goes on")
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

func TestEntriesInFlightWaitAgainAfterAPanicOfTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newPanickyQueue(t, "Collection")
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithQueue(q))
		export(t, e, 1, 2)
		elapse(time.Minute)
		assert.Zero(t, e.Stats().InFlight)
		assert.Equal(t, 2, e.Stats().Queued)
		q.in.Store("")
		elapse(time.Minute)
		assert.Equal(t, []int64{1, 2}, metrictest.Values(inner.Delivered()))
		shutdown(t, e, inner)
	})
}

func TestUnknownKindIsDeliveredWholeAndReportedOnce(t *testing.T) {
	type future struct{ metricdata.Gauge[int64] }
	inner := &metrictest.Exporter{}
	e, r := start(t, inner, asyncmetric.WithMaxExportBatchSize(1))
	rm := metrictest.Numbers(2, 1)
	data := future{metricdata.Gauge[int64]{DataPoints: make([]metricdata.DataPoint[int64], 5)}}
	rm.ScopeMetrics[0].Metrics = append(rm.ScopeMetrics[0].Metrics, metricdata.Metrics{Name: "tomorrow", Data: data})
	require.NoError(t, e.Export(t.Context(), rm))
	require.NoError(t, e.Export(t.Context(), rm))
	shutdown(t, e, inner)

	require.Len(t, inner.Delivered(), 6)
	assert.Equal(t, data, inner.Delivered()[2].ScopeMetrics[0].Metrics[0].Data)
	assert.Equal(t, uint64(6), e.Stats().Exported, "it counts as one point")
	require.Len(t, r.errors(), 1)
	assert.ErrorContains(t, r.errors()[0], `"tomorrow"`)
	assert.ErrorContains(t, r.errors()[0], "asyncmetric_test.future")
}

// Of a batch that lingers, an entry may take as long to read as the linger
// lasts.
func TestALingerWaitsForASlowQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := 0
		q := newObservedQueue(t, func(ctx context.Context, waiting int) error {
			if waiting == 0 {
				return nil
			}
			if taken++; taken != 2 {
				return nil
			}
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		inner := &metrictest.Exporter{}
		for v := range int64(2) {
			require.NoError(t, q.Put(t.Context(), metrictest.Numbers(1, 1+v)))
		}
		e, _ := start(t, inner, asyncmetric.WithQueue(q), asyncmetric.WithMerging(10*time.Second))
		elapse(time.Minute)
		assert.Equal(t, [][]int64{{1, 2}}, batches(inner.Delivered()))
		shutdown(t, e, inner)
	})
}

func TestTheBackOffOfTheQueueStartsAnewAfterATakeThatSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		begin := time.Now()
		var mu sync.Mutex
		var failed []time.Duration
		q := newObservedQueue(t, func(context.Context, int) error {
			if !broken.Load() {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, time.Since(begin))
			return errors.New("the disk is broken")
		})
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithQueue(q), fixed)
		for v := range int64(2) {
			synctest.Wait()
			broken.Store(true)
			export(t, e, v)
			elapse(3500 * time.Millisecond) // it fails after 0, 1 and 3 s
			broken.Store(false)
			elapse(time.Minute)
		}
		s := time.Second
		second := 63500 * time.Millisecond
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, []time.Duration{0, s, 3 * s, second, second + s, second + 3*s}, failed)
		assert.Equal(t, uint64(2), e.Stats().Exported)
		shutdown(t, e, inner)
	})
}

// The oldest of merged entries are those that were too old.
func TestOfMergedEntriesTheOldestAreSettledAsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &settledQueue{observedQueue: newObservedQueue(t, func(context.Context, int) error { return nil })}
		inner := &metrictest.Exporter{}
		e, g := held(t, inner, asyncmetric.WithQueue(q), asyncmetric.WithMerging(0), asyncmetric.WithMaxAge(10*time.Second))
		for v := range int64(3) {
			elapse(4 * time.Second)
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(2, 1+v)))
		}
		elapse(5 * time.Second) // they are 13 s, 9 s and 5 s old
		close(g.open)
		synctest.Wait()
		assert.Equal(t, []queue.Outcome{{Exported: 1}, {Dropped: 2}, {Exported: 2}, {Exported: 2}}, q.outcomes)
		shutdown(t, e, inner)
	})
}

func TestStatsOfAQueueThatPanicsAreTheLastThatItReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newPanickyQueue(t, "")
		inner := &metrictest.Exporter{}
		e, r := start(t, inner, asyncmetric.WithQueue(q))
		export(t, e, 1, 2)
		synctest.Wait()
		before := e.Stats()
		q.in.Store("Stats")
		assert.Equal(t, before, e.Stats())
		assert.Equal(t, uint64(2), before.Exported)
		q.in.Store("")
		assert.Empty(t, r.errors(), "the caller may hold a lock that the handler needs")
		export(t, e, 3)
		require.NotEmpty(t, r.errors())
		assert.ErrorIs(t, r.errors()[0], asyncmetric.ErrPanic)
		shutdown(t, e, inner)
	})
}

func TestATakeWithoutEntryAndErrorIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		var once atomic.Bool
		q.take = func(ctx context.Context, l queue.Limit) (queue.Entry, error) {
			if once.CompareAndSwap(false, true) {
				return nil, nil
			}
			return q.Queue.Take(ctx, l)
		}
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithQueue(q))
		export(t, e, 1)
		assert.NoError(t, e.Shutdown(context.Background()))
		assert.Len(t, inner.Delivered(), 1)
	})
}

func TestAnErrorOfTheQueueMayPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		var once atomic.Bool
		q.take = func(ctx context.Context, l queue.Limit) (queue.Entry, error) {
			if once.CompareAndSwap(false, true) {
				return nil, panickyIs{}
			}
			return q.Queue.Take(ctx, l)
		}
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithQueue(q))
		export(t, e, 1)
		assert.NoError(t, e.Shutdown(context.Background()))
		assert.Len(t, inner.Delivered(), 1)
	})
}

func TestAnErrorOfTheQueueMayWrapItself(t *testing.T) {
	for method, refused := range map[string]uint64{"Put": 1, "Take": 0} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newBrokenQueue(t, 100, queue.DropOldest)
				var failed atomic.Bool
				fail := func(in string) error {
					if in == method && failed.CompareAndSwap(false, true) {
						return endless{}
					}
					return nil
				}
				q.put = func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
					if err := fail("Put"); err != nil {
						return err
					}
					return q.Queue.Put(ctx, rm)
				}
				q.take = func(ctx context.Context, l queue.Limit) (queue.Entry, error) {
					if err := fail("Take"); err != nil {
						return nil, err
					}
					return q.Queue.Take(ctx, l)
				}
				inner := &metrictest.Exporter{}
				e, r := start(t, inner, asyncmetric.WithQueue(q))
				err := e.Export(t.Context(), metrictest.Numbers(1, 1))
				if method == "Put" {
					assert.ErrorContains(t, err, "endless")
					export(t, e, 1)
				}
				elapse(time.Minute)
				assert.Equal(t, []int64{1}, metrictest.Values(inner.Delivered()))
				assert.Equal(t, refused, e.Stats().Refused)
				if method == "Take" {
					require.Len(t, r.texts(), 1)
					assert.Contains(t, r.texts()[0], "endless")
				}
				shutdown(t, e, inner)
			})
		})
	}
}

func TestNewRefusesAQueueThatPanicsWhenItIsAskedWhatItIs(t *testing.T) {
	for method, arm := range map[string]func(*brokenQueue){
		"Ready": func(q *brokenQueue) { q.ready = func() <-chan struct{} { panic("queue") } },
		"Info":  func(q *brokenQueue) { q.info = func() queue.Info { panic("queue") } },
	} {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		arm(q)
		_, err := asyncmetric.New(&metrictest.Exporter{}, asyncmetric.WithQueue(q))
		assert.ErrorIs(t, err, asyncmetric.ErrPanic, method)
	}
}

// What a queue is does not change: its Ready and Info may fail later.
func TestAQueueIsAskedOnceWhatItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		var started atomic.Bool
		q.ready = func() <-chan struct{} {
			if started.Load() {
				panic("Ready")
			}
			return q.Queue.Ready()
		}
		q.info = func() queue.Info {
			if started.Load() {
				panic("Info")
			}
			return q.Queue.Info()
		}
		inner := &metrictest.Exporter{}
		e, r := start(t, inner, asyncmetric.WithQueue(q))
		started.Store(true)
		export(t, e, 1)
		elapse(time.Minute)
		assert.Equal(t, 100, e.Status().Capacity)
		assert.Equal(t, []int64{1}, metrictest.Values(inner.Delivered()))
		assert.Empty(t, r.errors())
		shutdown(t, e, inner)
	})
}

func TestGoexitOfTheQueueEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		var once atomic.Bool
		q.take = func(ctx context.Context, l queue.Limit) (queue.Entry, error) {
			if once.CompareAndSwap(false, true) {
				runtime.Goexit()
			}
			return q.Queue.Take(ctx, l)
		}
		inner := &metrictest.Exporter{}
		e, r := start(t, inner, asyncmetric.WithQueue(q))
		export(t, e, 1, 2, 3)
		elapse(time.Minute)
		assert.Equal(t, []int64{1, 2, 3}, metrictest.Values(inner.Delivered()))
		require.Len(t, r.texts(), 1)
		assert.Contains(t, r.texts()[0], "runtime.Goexit")
		shutdown(t, e, inner)
	})
}

func TestAQueueThatMiscountsIsAskedAgainAfterABackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBrokenQueue(t, 100, queue.DropOldest)
		q.info = func() queue.Info { return queue.Info{Durable: true} }
		q.take = func(ctx context.Context, l queue.Limit) (queue.Entry, error) {
			e, err := q.Queue.Take(ctx, l)
			if err != nil {
				return nil, err
			}
			return manyPoints{e}, nil
		}
		inner := &metrictest.Exporter{}
		e, r := start(t, inner, asyncmetric.WithQueue(q))
		export(t, e, 1)
		time.Sleep(200 * time.Millisecond)
		assert.Less(t, len(inner.Attempts()), 10, "sent again and again")
		assert.NotEmpty(t, r.errors())
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_ = e.Shutdown(ctx)
	})
}

func TestAQueueThatIsEmptyWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		begin := time.Now()
		q := newObservedQueue(t, func(_ context.Context, waiting int) error {
			asked = append(asked, time.Since(begin))
			if len(asked)%2 == 1 { // and then it is empty
				return errors.New("the disk is slow")
			}
			return nil
		})
		inner := &metrictest.Exporter{}
		e, r := start(t, inner, asyncmetric.WithQueue(q), fixed)
		for range 5 {
			elapse(10 * time.Second)
			require.NoError(t, e.ForceFlush(t.Context())) // makes the worker look
		}
		elapse(10 * time.Second)
		s := time.Second
		assert.Equal(t, []time.Duration{0, s, 10 * s, 11 * s, 20 * s, 21 * s, 30 * s, 31 * s, 40 * s, 41 * s, 50 * s, 51 * s}, asked,
			"each failure is the first one")
		assert.Len(t, r.errors(), 6)
		require.NoError(t, giveUpOf(e, time.Minute))
	})
}
