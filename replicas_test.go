package asyncmetric_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestReplicasShareTheBatchesOfACollection(t *testing.T) {
	took := func(n int) (d time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			inner, opt := replicas(n)
			for _, e := range inner {
				e.OnExport = slow(50 * time.Millisecond)
			}
			e, _ := start(t, inner[0], opt, asyncmetric.WithMaxExportBatchSize(10))
			begin := time.Now()
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(1000, 1)))
			require.NoError(t, e.ForceFlush(t.Context()))
			d = time.Since(begin)
			for _, e := range inner {
				assert.Len(t, e.Delivered(), 100/n, "as many as the others, since all are as fast")
			}
			shutdownAll(t, e, inner)
		})
		return d
	}
	assert.GreaterOrEqual(t, float64(took(1))/float64(took(4)), 3.6)
}

func TestNextCollectionWaitsForAllBatchesOfThisOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(3)
		g := newGate()
		inner[1].OnExport = g.stuck
		e, _ := start(t, inner[0], opt, asyncmetric.WithMaxExportBatchSize(1))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(6, 1)))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(6, 2)))
		elapse(time.Hour)
		sent := append(metrictest.Values(inner[0].Delivered()), metrictest.Values(inner[2].Delivered())...)
		assert.Equal(t, []int64{1, 1, 1, 1, 1}, sent, "all but the one that is stuck, and nothing of the next")
		assert.Equal(t, 6, e.Stats().InFlight)
		close(g.open)
		shutdownAll(t, e, inner)
	})
}

func TestFailedBatchIsRetriedAloneByItsReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(3)
		var at []time.Duration
		inner[1].OnExport = failing(&at, errTransient, errTransient)
		e, r := start(t, inner[0], opt, fixed, asyncmetric.WithMaxExportBatchSize(1))
		require.NoError(t, e.Export(t.Context(), metrictest.EveryKind(1)))
		elapse(time.Hour)
		require.Len(t, inner[1].Attempts(), 3)
		for _, again := range inner[1].Attempts()[1:] {
			assert.Equal(t, inner[1].Attempts()[0], again, "the same batch")
		}
		assert.Equal(t, []time.Duration{0, time.Second, 3 * time.Second}, at)
		assert.Greater(t, len(inner[0].Delivered())+len(inner[2].Delivered()), 10)
		total := 0
		for _, e := range inner {
			for _, rm := range e.Delivered() {
				total += batch.Points(rm)
			}
		}
		assert.Equal(t, 18, total, "every point once")
		assert.Equal(t, uint64(18), e.Stats().Exported)
		assert.Equal(t, uint64(2), e.Stats().Retries)
		assert.Empty(t, r.errors(), "a few failures of one exporter beside others are no outage")
		shutdownAll(t, e, inner)
	})
}

func TestFailingReplicaDoesNotFailTheOthersBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(3)
		for _, e := range inner {
			e.OnExport = slow(time.Second)
		}
		inner[0].OnExport = func(context.Context, *metricdata.ResourceMetrics) error {
			time.Sleep(time.Second)
			panic("replica")
		}
		e, r := start(t, inner[0], opt, asyncmetric.WithMaxExportBatchSize(1))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(9, 1)))
		err := e.ForceFlush(t.Context())
		assert.ErrorIs(t, err, asyncmetric.ErrPanic)
		assert.Equal(t, uint64(6), e.Stats().Exported)
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonPermanent: 3}, r.dropped())
		shutdownAll(t, e, inner)
	})
}

func TestFlushAndShutdownReachEveryReplicaOnceInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(4)
		for i, e := range inner {
			e.OnExport = nil
			e.OnForceFlush = func(context.Context) error {
				time.Sleep(time.Second)
				return fmt.Errorf("flush of %d", i)
			}
			e.OnShutdown = func(context.Context) error {
				time.Sleep(time.Second)
				return fmt.Errorf("shutdown of %d", i)
			}
		}
		e, _ := start(t, inner[0], opt)
		export(t, e, 1)
		begin := time.Now()
		flushErr := e.ForceFlush(t.Context())
		assert.Equal(t, time.Second, time.Since(begin))
		for _, inner := range inner {
			assert.Equal(t, 1, inner.Count("ForceFlush"))
		}
		begin = time.Now()
		downErr := e.Shutdown(t.Context())
		assert.Equal(t, 2*time.Second, time.Since(begin))
		for i, inner := range inner {
			assert.ErrorContains(t, flushErr, fmt.Sprintf("flush of %d", i))
			assert.ErrorContains(t, downErr, fmt.Sprintf("flush of %d", i))
			assert.ErrorContains(t, downErr, fmt.Sprintf("shutdown of %d", i))
			assert.Equal(t, 2, inner.Count("ForceFlush"))
			assert.Equal(t, 1, inner.Count("Shutdown"))
			assert.Zero(t, inner.Overlaps())
		}
	})
}

func TestFlushCutsTheBackOffOfEveryReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(3)
		at := make([][]time.Duration, len(inner))
		for i, e := range inner {
			e.OnExport = failing(&at[i], errTransient)
		}
		e, _ := start(t, inner[0], opt, asyncmetric.WithMaxExportBatchSize(1),
			asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Hour, MaxInterval: time.Hour, Jitter: -1}))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(3, 1)))
		elapse(time.Minute)
		require.NoError(t, e.ForceFlush(t.Context()))
		for _, at := range at {
			assert.Equal(t, []time.Duration{0, time.Minute}, at)
		}
		shutdownAll(t, e, inner)
	})
}

func TestStuckReplicaDoesNotHoldUpShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(3)
		g := newGate()
		inner[2].OnExport = g.stuck
		e, r := start(t, inner[0], opt, asyncmetric.WithMaxExportBatchSize(1))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(9, 1)))
		export(t, e, 2)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		err := e.Shutdown(ctx)
		assert.LessOrEqual(t, time.Since(begin), 10*time.Second)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "2 data points were not delivered", "of the first collection, all others were")
		assert.Equal(t, []int{1, 1, 0}, []int{inner[0].Count("Shutdown"), inner[1].Count("Shutdown"), inner[2].Count("Shutdown")},
			"the others are shut down in time")
		close(g.open)
		synctest.Wait()
		assertSettled(t, e.Stats())
		assert.Equal(t, 1, r.dropped()[asyncmetric.ReasonShutdown], "the second collection; the stuck batch arrived")
		for _, inner := range inner {
			assert.Equal(t, 1, inner.Count("Shutdown"), "in the background, when the stuck call has returned")
			assert.Zero(t, inner.Overlaps())
		}
	})
}

// uncomparable is an exporter that cannot be compared with ==.
type uncomparable struct {
	*metrictest.Exporter
	_ []int
}

func TestInvalidReplicasAreNamed(t *testing.T) {
	first, second := &metrictest.Exporter{}, &metrictest.Exporter{}
	deltaHistogram := deltaOf(metric.InstrumentKindHistogram)
	otherBounds := &metrictest.Exporter{OnAggregation: func(k metric.InstrumentKind) metric.Aggregation {
		if k == metric.InstrumentKindHistogram {
			return metric.AggregationExplicitBucketHistogram{Boundaries: []float64{1, 2}}
		}
		return metric.DefaultAggregationSelector(k)
	}}
	for want, more := range map[string][]metric.Exporter{
		"replica 2: the exporter is nil": {second, nil},
		"is given twice":                 {first},
		"replica 2 (*metrictest.":        {second, second},
		"has DeltaTemporality for Histogram, and the first exporter has CumulativeTemporality": {second, deltaHistogram},
		"replica 1 (*metrictest.Exporter) has aggregation":                                     {otherBounds},
	} {
		e, err := asyncmetric.New(first, asyncmetric.WithReplicas(more...))
		assert.ErrorIs(t, err, asyncmetric.ErrInvalidOption, want)
		assert.ErrorContains(t, err, want)
		assert.Nil(t, e)
	}
	_, err := asyncmetric.New(first, asyncmetric.WithReplicas(second), asyncmetric.WithReplicas(second))
	assert.ErrorContains(t, err, "given twice", "the option adds to what it has added before")
}

// deltaOf returns an exporter that has delta temporality for one kind only.
func deltaOf(kind metric.InstrumentKind) *metrictest.Exporter {
	return &metrictest.Exporter{OnTemporality: func(k metric.InstrumentKind) metricdata.Temporality {
		if k == kind {
			return metricdata.DeltaTemporality
		}
		return metricdata.CumulativeTemporality
	}}
}

func TestReplicasMustAgreeOnEveryKindOfInstrument(t *testing.T) {
	for kind := metric.InstrumentKindCounter; kind <= metric.InstrumentKindGauge; kind++ {
		_, err := asyncmetric.New(&metrictest.Exporter{}, asyncmetric.WithReplicas(deltaOf(kind)))
		assert.ErrorContains(t, err, kind.String())
	}
}

func TestReplicasMayLeaveAggregationToTheSDK(t *testing.T) {
	first := &metrictest.Exporter{OnAggregation: func(metric.InstrumentKind) metric.Aggregation { return nil }}
	e, err := asyncmetric.New(first, asyncmetric.WithReplicas(&metrictest.Exporter{}))
	require.NoError(t, err)
	shutdown(t, e, first)
}

func TestReplicasAreThoseThatTheOptionWasGiven(t *testing.T) {
	first, second, third := &metrictest.Exporter{}, &metrictest.Exporter{}, &metrictest.Exporter{}
	more := []metric.Exporter{second}
	opt := asyncmetric.WithReplicas(more...)
	more[0] = third
	e, _ := start(t, first, opt)
	shutdown(t, e, first)
	assert.Equal(t, []int{1, 0}, []int{second.Count("Shutdown"), third.Count("Shutdown")})
}

// sizeless is an exporter whose instances may be at one address.
type sizeless struct{}

func (*sizeless) Temporality(k metric.InstrumentKind) metricdata.Temporality {
	return metric.DefaultTemporalitySelector(k)
}

func (*sizeless) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	return metric.DefaultAggregationSelector(k)
}

func (*sizeless) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }

func (*sizeless) ForceFlush(context.Context) error { return nil }

func (*sizeless) Shutdown(context.Context) error { return nil }

func TestReplicasOfATypeWithoutSizeAreDifferent(t *testing.T) {
	e, err := asyncmetric.New(&sizeless{}, asyncmetric.WithReplicas(&sizeless{}))
	require.NoError(t, err)
	require.NoError(t, e.Shutdown(t.Context()))
}

func TestReplicasNeedNotBeComparable(t *testing.T) {
	first, second := &metrictest.Exporter{}, &metrictest.Exporter{}
	e, err := asyncmetric.New(uncomparable{Exporter: first}, asyncmetric.WithReplicas(uncomparable{Exporter: second}))
	require.NoError(t, err)
	require.NoError(t, e.Shutdown(t.Context()))
	assert.Equal(t, 1, second.Count("Shutdown"))
}

func TestReplicasOfEqualSelectorsAgree(t *testing.T) {
	bounds := func(metric.InstrumentKind) metric.Aggregation {
		return metric.AggregationExplicitBucketHistogram{Boundaries: []float64{1, 2}}
	}
	first := &metrictest.Exporter{OnAggregation: bounds}
	e, err := asyncmetric.New(first, asyncmetric.WithReplicas(&metrictest.Exporter{OnAggregation: bounds}))
	require.NoError(t, err)
	shutdown(t, e, first)
}

func TestABrokenReplicaDoesNotStopDelivery(t *testing.T) {
	for name, fails := range map[string]func(context.Context) error{
		"it fails at once": func(context.Context) error { return errTransient },
		"it hangs until its deadline": func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		},
		"it asks for a long delay": func(context.Context) error { return hint{time.Hour} },
	} {
		for broken := range 4 {
			t.Run(fmt.Sprintf("%s, number %d", name, broken), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					inner, opt := replicas(4)
					inner[broken].OnExport = func(ctx context.Context, _ *metricdata.ResourceMetrics) error { return fails(ctx) }
					e, _ := start(t, inner[0], opt, asyncmetric.WithMaxExportBatchSize(10),
						asyncmetric.WithRetry(asyncmetric.Retry{Classify: func(err error) asyncmetric.Verdict {
							if errors.Is(err, errTransient) {
								return asyncmetric.Verdict{}
							}
							return asHint(err)
						}}))
					for v := range int64(10) {
						require.NoError(t, e.Export(t.Context(), metrictest.Numbers(100, v)))
					}
					elapse(10 * time.Minute)
					assert.Equal(t, uint64(1000), e.Stats().Exported, "%+v", e.Stats())
					assert.Equal(t, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, slices.Compact(inOrder(inner)), "the order holds")
					assert.NoError(t, e.Shutdown(t.Context()))
				})
			})
		}
	}
}

// inOrder returns the values that the exporters got, in the order of the
// collections.
func inOrder(inner []*metrictest.Exporter) (values []int64) {
	for _, exporter := range inner {
		got := metrictest.Values(exporter.Delivered())
		if !slices.IsSorted(got) {
			return got
		}
		values = append(values, got...)
	}
	slices.Sort(values)
	return values
}

func TestCollectionsOfOneBatchDoNotDependOnTheFirstExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(2)
		inner[0].OnExport = func(context.Context, *metricdata.ResourceMetrics) error { return errTransient }
		e, _ := start(t, inner[0], opt, fixed)
		for v := range int64(100) {
			export(t, e, v)
			elapse(10 * time.Second)
		}
		assert.Equal(t, uint64(100), e.Stats().Exported)
		assert.Equal(t, 3, inner[0].Count("Export"), "after three failures it is not asked as long as the other one works")
		assert.Len(t, inner[1].Delivered(), 100)
		assert.NoError(t, e.Shutdown(t.Context()))
	})
}

func TestABatchGoesFromExporterToExporterUntilOneWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(3)
		var works atomic.Int64
		for i, exporter := range inner {
			exporter.OnExport = func(context.Context, *metricdata.ResourceMetrics) error {
				if int64(i) == works.Load() {
					return nil
				}
				return errTransient
			}
		}
		e, _ := start(t, inner[0], opt)
		for i := range inner {
			works.Store(-1)
			export(t, e, int64(i))
			elapse(time.Hour)     // everything is away
			works.Store(int64(i)) // and then only one of them comes back
			elapse(15 * time.Minute)
			assert.Equal(t, uint64(i+1), e.Stats().Exported, "%+v", e.Stats())
		}
		assert.NoError(t, e.Shutdown(t.Context()))
	})
}

func TestAHangingReplicaTakesATenthOfTheTimeAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(2)
		hung := time.Duration(0)
		inner[1].OnExport = func(ctx context.Context, _ *metricdata.ResourceMetrics) error {
			begin := time.Now()
			<-ctx.Done()
			hung += time.Since(begin)
			return ctx.Err()
		}
		e, _ := start(t, inner[0], opt, asyncmetric.WithMaxExportBatchSize(1))
		begin := time.Now()
		for v := range int64(24 * 60) {
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(2, v)))
			elapse(time.Minute)
		}
		assert.Less(t, hung, time.Since(begin)/10)
		assert.LessOrEqual(t, e.Stats().QueuedCollections, 1, "it keeps up")
		assert.NoError(t, e.Shutdown(t.Context()))
	})
}

// A batch must not overtake another one that has an earlier point of the same
// series.
func TestACollectionWithRepeatedSeriesGoesOutOneBatchAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, opt := replicas(3)
		var under, most atomic.Int64
		for _, exporter := range inner {
			exporter.OnExport = func(context.Context, *metricdata.ResourceMetrics) error {
				if n := under.Add(1); n > most.Load() {
					most.Store(n)
				}
				defer under.Add(-1)
				time.Sleep(time.Second)
				return nil
			}
		}
		e, _ := start(t, inner[0], opt, asyncmetric.WithMaxExportBatchSize(1))
		rm := metrictest.Numbers(3, 1)
		points := rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints
		for i := range points {
			points[i].Attributes = points[0].Attributes
			points[i].Time = points[0].Time.Add(time.Duration(i) * time.Minute)
		}
		require.NoError(t, e.Export(t.Context(), rm))
		elapse(time.Minute)
		assert.Equal(t, int64(1), most.Load())
		assert.Equal(t, uint64(3), e.Stats().Exported)
		shutdownAll(t, e, inner)
	})
}

// Only failures in a row count: an exporter whose batches end keeps its work.
func TestFailuresBeforeTheEndOfABatchAreForgotten(t *testing.T) {
	for name, end := range map[string]error{"exported": nil, "dropped": errPermanent} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, opt := replicas(2)
				var at []time.Duration
				inner[0].OnExport = failing(&at, errTransient, errTransient, end, errTransient, errTransient, end)
				e, _ := start(t, inner[0], opt, fixed)
				export(t, e, 1, 2)
				elapse(time.Minute)
				assert.Len(t, at, 6)
				assert.Zero(t, inner[1].Count("Export"))
				shutdownAll(t, e, inner)
			})
		})
	}
}

func TestWithoutRetryABrokenExporterCostsAFewBatchesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errTransient }}
		healthy := &metrictest.Exporter{}
		e, _ := start(t, broken, asyncmetric.WithReplicas(healthy), asyncmetric.WithoutRetry())
		for i := range int64(20) {
			export(t, e, i)
			elapse(time.Minute)
		}
		s := e.Stats()
		_ = e.Shutdown(t.Context())
		assert.GreaterOrEqual(t, s.Exported, uint64(17), "one exporter works: %+v", s)
	})
}

func TestHangingReplicasAreTriedOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ *metricdata.ResourceMetrics) error { <-ctx.Done(); return ctx.Err() }
		inner := &metrictest.Exporter{}
		var replicas []asyncmetric.Option
		for range 7 {
			replicas = append(replicas, asyncmetric.WithReplicas(&metrictest.Exporter{OnExport: hang}))
		}
		e, _ := start(t, inner, append(replicas, fixed, asyncmetric.WithMaxExportBatchSize(1))...)
		stop := time.Now().Add(2 * time.Hour)
		var idle time.Duration
		for time.Now().Before(stop) {
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(2, 1)))
			begin := time.Now()
			synctest.Wait()
			for e.Stats().Queued > 0 {
				elapse(time.Second)
			}
			if time.Since(begin) == 0 {
				elapse(time.Second)
			} else {
				idle += time.Since(begin)
			}
		}
		t.Logf("%v of 2h waited", idle)
		assert.Less(t, idle, 40*time.Minute)
		_ = e.Shutdown(t.Context())
	})
}

// A replica that hangs every other time.
func TestAReplicaThatHangsAtTimesTakesATenthOfTheTimeAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		hang := func(ctx context.Context, _ *metricdata.ResourceMetrics) error {
			if n.Add(1)%3 == 0 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		e, _ := start(t, &metrictest.Exporter{}, asyncmetric.WithReplicas(&metrictest.Exporter{OnExport: hang}), fixed, asyncmetric.WithMaxExportBatchSize(1))
		stop := time.Now().Add(2 * time.Hour)
		var idle time.Duration
		for time.Now().Before(stop) {
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(2, 1)))
			begin := time.Now()
			synctest.Wait()
			for e.Stats().Queued > 0 {
				elapse(time.Second)
			}
			if time.Since(begin) == 0 {
				elapse(time.Second)
			} else {
				idle += time.Since(begin)
			}
		}
		assert.Less(t, idle, 30*time.Minute)
		_ = e.Shutdown(t.Context())
	})
}

func TestADelayOfTheServerHoldsWhenTheBatchChangesItsExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Time
		refuse := func(context.Context, *metricdata.ResourceMetrics) error {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Now())
			return hint{20 * time.Second}
		}
		e, _ := start(t, &metrictest.Exporter{OnExport: refuse}, asyncmetric.WithReplicas(&metrictest.Exporter{OnExport: refuse}), namedByServer)
		export(t, e, 1)
		elapse(5 * time.Minute)
		for i := range at[1:] {
			assert.GreaterOrEqual(t, at[i+1].Sub(at[i]), 20*time.Second, "attempts %d and %d of one batch at one server", i+1, i+2)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = e.Shutdown(ctx)
	})
}
