package asyncmetric_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestTelemetryShowsABatchInFlightAndThenDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, g := newMeters(), newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, _ := start(t, inner, m.option())
		assert.Equal(t, idle(), m.of(t, e))

		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(5, 1)))
		elapse(time.Second)
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(2, 1)))
		elapse(2 * time.Second)
		assert.Equal(t, idle().and(values{
			"metric_data_point.inflight": 5,
			"queue.size":                 7,
			"queue.oldest_age":           3,
		}), m.of(t, e))

		g.open <- struct{}{}
		elapse(500 * time.Millisecond)
		one := values{
			"metric_data_point.exported": 5,
			"operation.duration count":   1, "operation.duration sum": 3,
			"delivery.latency count": 1, "delivery.latency sum": 3,
		}
		assert.Equal(t, idle().and(one).and(values{
			"metric_data_point.inflight": 2,
			"queue.size":                 2,
			"queue.oldest_age":           2.5,
		}), m.of(t, e))

		close(g.open)
		synctest.Wait()
		assert.Equal(t, idle().and(values{
			"metric_data_point.exported": 7,
			"operation.duration count":   2, "operation.duration sum": 3.5, // the second took half a second
			"delivery.latency count": 2, "delivery.latency sum": 5.5, // and had waited for two
		}), m.of(t, e))
		shutdown(t, e, inner)
	})
}

func TestTelemetryOfRetriesIsOneOperationWithItsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeters()
		var at []time.Duration
		outcome := failing(&at, errTransient, errTransient)
		inner := &metrictest.Exporter{OnExport: func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
			time.Sleep(10 * time.Second)
			return outcome(ctx, rm)
		}}
		e, _ := start(t, inner, fixed, m.option())
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(5, 1)))
		elapse(22 * time.Second) // within the second back-off
		waiting := values{"metric_data_point.inflight": 5, "queue.size": 5, "queue.oldest_age": 22, "export.retries": 1}
		assert.Equal(t, idle().and(waiting), m.of(t, e), "what is repeated is not counted yet")
		elapse(time.Hour)
		assert.Equal(t, idle().and(values{
			"metric_data_point.exported": 5, "export.retries": 2,
			"operation.duration count": 1, "operation.duration sum": 33,
			"delivery.latency count": 1, "delivery.latency sum": 33,
		}), m.of(t, e))
		shutdown(t, e, inner)
	})
}

// quota is an error that has an error.type.
type quota struct{}

func (quota) Error() string { return "quota" }

func (quota) ErrorType() string { return "quota_exceeded" }

// mute is an error whose error.type cannot be had.
type mute struct{}

func (mute) Error() string { return "mute" }

func (mute) ErrorType() string { panic("no") }

func TestTelemetryOfFailureHasTheTypeOfTheLastError(t *testing.T) {
	await := func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("something went wrong")
	}
	fails := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	for _, test := range []struct {
		name      string
		last      func(context.Context) error
		errorType string
		exported  float64 // of 5 points
		took      float64
	}{
		{"permanent", fails(errPermanent), "code 3", 0, 1},
		{"wrapped", fails(fmt.Errorf("upload: %w", quota{})), "quota_exceeded", 0, 1},
		{"gRPC status", fails(grpcError(3)), "code 3", 0, 1},
		{"its type panics", fails(mute{}), "_OTHER", 0, 1},
		{"panic", func(context.Context) error { panic("no") }, "panic", 0, 1},
		{"its methods panic", fails((*hostile)(nil)), "panic", 0, 1},
		{"elapsed, timeout of the exporter", fails(fmt.Errorf("upload: %w", context.DeadlineExceeded)), "timeout", 0, 1},
		{"elapsed, timeout of the attempt", await, "timeout", 0, 8},
		{"partial success", fails(fmt.Errorf("upload: %w", PartialSuccess{RejectedItems: 2})), "rejected", 3, 1},
		{"all rejected", fails(PartialSuccess{RejectedItems: 9}), "rejected", 0, 1},
		{"a warning", fails(PartialSuccess{}), "", 5, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				inner := &metrictest.Exporter{OnExport: func(ctx context.Context, _ *metricdata.ResourceMetrics) error {
					if attempts++; attempts == 1 {
						return fmt.Errorf("not of the last attempt: %w", context.DeadlineExceeded)
					}
					return test.last(ctx)
				}}
				m := newMeters()
				e, r := start(t, inner, m.option(), asyncmetric.WithExportTimeout(7*time.Second),
					asyncmetric.WithRetry(asyncmetric.Retry{Jitter: -1, MaxElapsedTime: 2 * time.Second}))
				require.NoError(t, e.Export(t.Context(), metrictest.Numbers(5, 1)))
				elapse(time.Hour)

				suffix := ""
				if test.errorType != "" {
					suffix = " error.type=" + test.errorType
				}
				want := idle().and(values{
					"export.retries":                         1,
					"operation.duration" + suffix + " count": 1, "operation.duration" + suffix + " sum": test.took,
				})
				if test.exported > 0 {
					want = want.and(values{
						"metric_data_point.exported": test.exported,
						"delivery.latency count":     1, "delivery.latency sum": test.took,
					})
				}
				for reason, points := range r.dropped() {
					want["metric_data_point.exported"+suffix] = float64(points)
					want["data_points.dropped reason="+string(reason)] = float64(points)
				}
				assert.Equal(t, want, m.of(t, e))
				assert.Equal(t, uint64(test.exported), e.Stats().Exported)
				shutdown(t, e, inner)
			})
		})
	}
}

func TestTelemetryOfWhatIsTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeters()
		var at []time.Duration
		inner := &metrictest.Exporter{OnExport: failing(&at, errTransient, errTransient)}
		e, _ := start(t, inner, fixed, m.option(), asyncmetric.WithMaxAge(2*time.Second))
		export(t, e, 1, 2)
		elapse(time.Hour)
		require.Len(t, at, 2, "the second collection is not attempted")
		assert.Equal(t, idle().and(values{
			"metric_data_point.exported error.type=age":   2,
			"data_points.dropped reason=age":              2,
			"export.retries":                              1,
			"operation.duration error.type=timeout count": 1, "operation.duration error.type=timeout sum": 1,
		}), m.of(t, e))
		shutdown(t, e, inner)
	})
}

func TestTelemetryHasOneOperationForEachBatch(t *testing.T) {
	for _, replicas := range []int{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			slow := func(context.Context, *metricdata.ResourceMetrics) error {
				time.Sleep(time.Second)
				return nil
			}
			inner := &metrictest.Exporter{OnExport: slow}
			m := newMeters()
			opts := []asyncmetric.Option{m.option(), asyncmetric.WithMaxExportBatchSize(2)}
			for range replicas {
				opts = append(opts, asyncmetric.WithReplicas(&metrictest.Exporter{OnExport: slow}))
			}
			e, _ := start(t, inner, opts...)
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(6, 1)))
			elapse(999 * time.Millisecond)
			assert.Equal(t, 6.0, m.of(t, e)["metric_data_point.inflight"])
			elapse(time.Hour)
			assert.Equal(t, idle().and(values{
				"metric_data_point.exported": 6,
				"operation.duration count":   3, "operation.duration sum": 3,
				"delivery.latency count": 1, "delivery.latency sum": 3 / float64(1+replicas),
			}), m.of(t, e))
			shutdown(t, e, inner)
		})
	}
}

func TestTelemetryOfMergingHasTheLatencyOfEachCollectionThatWasDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, inner := newMeters(), &metrictest.Exporter{}
		e, g := held(t, inner, m.option(), asyncmetric.WithMerging(0), asyncmetric.WithMaxAge(5*time.Second))
		for v := range int64(3) { // they wait for 7 s, which is too long, 5 s and 3 s
			require.NoError(t, e.Export(t.Context(), metrictest.Numbers(10, 1+v)))
			elapse(2 * time.Second)
		}
		elapse(time.Second)
		close(g.open)
		synctest.Wait()
		assert.Equal(t, [][]int64{{2, 3}}, batches(inner.Delivered()[1:]))
		assert.Equal(t, idle().and(values{
			"metric_data_point.exported":                21,
			"metric_data_point.exported error.type=age": 10,
			"data_points.dropped reason=age":            10,
			"operation.duration count":                  2, "operation.duration sum": 7,
			"delivery.latency count": 3, "delivery.latency sum": 7 + 5 + 3,
		}), m.of(t, e))
		shutdown(t, e, inner)
	})
}

func TestTelemetryOfOverflow(t *testing.T) {
	for _, test := range []struct {
		overflow queue.Overflow
		want     values
	}{
		{queue.DropOldest, values{"data_points.dropped reason=overflow": 4, "queue.oldest_age": 3}},
		{queue.DropNewest, values{"data_points.refused": 4, "queue.oldest_age": 3}},
		{queue.Coalesce, values{"data_points.coalesced": 4, "queue.oldest_age": 3}},
	} {
		t.Run(test.overflow.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, inner := newMeters(), &metrictest.Exporter{}
				e, g := held(t, inner, m.option(), asyncmetric.WithMaxQueueSize(2), asyncmetric.WithOverflow(test.overflow))
				for range 3 {
					_ = e.Export(t.Context(), metrictest.Numbers(2, 1))
					elapse(time.Second)
				}
				want := idle().and(test.want).and(values{"queue.capacity": 2})
				assert.Equal(t, want.and(values{"metric_data_point.inflight": 1, "queue.size": 3}), m.of(t, e))
				close(g.open)
				synctest.Wait()
				got := m.of(t, e)
				assert.Equal(t, 3.0, got["metric_data_point.exported"])
				assert.Equal(t, test.want["data_points.coalesced"], got["data_points.coalesced"], "it is kept")
				assert.NotContains(t, got, "metric_data_point.exported error.type=overflow", "it was never to be exported")
				shutdown(t, e, inner)
			})
		})
	}
}

func TestTelemetryHasNoCapacityOfAQueueThatHasNone(t *testing.T) {
	m, inner := newMeters(), &metrictest.Exporter{}
	e, _ := start(t, inner, m.option(), asyncmetric.WithQueue(boundless{newQueue(t)}))
	want := idle()
	delete(want, "queue.limit")
	assert.Equal(t, want, m.of(t, e))
	shutdown(t, e, inner)
}

func TestTelemetryShowsTheBytesOfAQueueThatCountsThem(t *testing.T) {
	for _, counts := range []bool{true, false} {
		m, inner := newMeters(), &metrictest.Exporter{}
		q := &weighed{Queue: newQueue(t), counts: counts}
		q.exemplars.Store(3)
		if counts {
			q.bytes.Store(700)
		}
		e, _ := start(t, inner, m.option(), asyncmetric.WithQueue(q))
		assert.Equal(t, idle().and(values{"queue.capacity": 10, "queue.limit": 1000, "exemplars.dropped": 3}), m.of(t, e))
		all := m.collect(t)
		assert.Equal(t, "{data_point}", all["asyncmetric.queue.capacity"].Unit)
		usage, shown := all["asyncmetric.queue.usage"]
		assert.Equal(t, counts, shown, "not where it would be 0 of 1000 for ever")
		if shown {
			assert.Equal(t, "By", usage.Unit)
			assert.NotEmpty(t, usage.Description)
			data := usage.Data.(metricdata.Sum[int64])
			assert.False(t, data.IsMonotonic)
			require.Len(t, data.DataPoints, 1)
			assert.Equal(t, int64(700), data.DataPoints[0].Value)
		}
		shutdown(t, e, inner)
	}
}

func TestTelemetryOfShutdownWithoutDelivery(t *testing.T) {
	for _, test := range []struct {
		name  string
		inner *metrictest.Exporter
		want  values
	}{
		{"a batch is cut off in its call", &metrictest.Exporter{
			OnExport: func(ctx context.Context, _ *metricdata.ResourceMetrics) error {
				<-ctx.Done()
				return ctx.Err()
			},
		}, values{
			"operation.duration error.type=shutdown count": 1, "operation.duration error.type=shutdown sum": 9.9,
		}},
		{"a batch does not get another attempt", &metrictest.Exporter{
			OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errTransient },
		}, values{
			"operation.duration error.type=timeout count": 1, "operation.duration error.type=timeout sum": 0,
			"export.retries": 1, // by Shutdown
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMeters()
				e, _ := start(t, test.inner, m.option(), asyncmetric.WithRetry(asyncmetric.Retry{
					InitialInterval: time.Hour, MaxInterval: time.Hour,
				}))
				require.NoError(t, e.Export(t.Context(), metrictest.Numbers(5, 1)))
				synctest.Wait()
				require.NoError(t, e.Export(t.Context(), metrictest.Numbers(2, 2)))
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				require.ErrorIs(t, e.Shutdown(ctx), context.DeadlineExceeded)
				assert.Equal(t, values{
					"data_points.dropped reason=shutdown":            7,
					"metric_data_point.exported error.type=shutdown": 5, // the other collection never left the queue
				}.and(test.want), m.of(t, e))
				assertSettled(t, e.Stats())
			})
		})
	}
}

func TestTelemetryHasNothingOfWhatADurableQueueKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, g := newMeters(), newGate()
		inner := &metrictest.Exporter{OnExport: g.export}
		e, _ := start(t, inner, m.option(), asyncmetric.WithQueue(durable{newQueue(t)}))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(5, 1)))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.Error(t, e.Shutdown(ctx))
		assert.Equal(t, values{
			"operation.duration error.type=shutdown count": 1, "operation.duration error.type=shutdown sum": 9.9,
		}, m.of(t, e))
	})
}

func TestTelemetryIsNotObservedAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeters()
		first, inner := exerciseAll(t, m)
		before := m.of(t, first)
		shutdown(t, first, inner)
		for name := range idle() {
			require.Contains(t, before, name)
			delete(before, name)
		}
		assert.Equal(t, before, m.of(t, first), "the counters keep their last value")

		second, inner := exerciseAll(t, m)
		assert.Equal(t, before, m.of(t, first))
		assert.Equal(t, before.and(idle()), m.of(t, second))
		shutdown(t, second, inner)
	})
}

func TestTelemetryIsNotObservedAfterShutdownOfAStuckExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, inner := newMeters(), &metrictest.Exporter{}
		e, g := held(t, inner, m.option())
		export(t, e, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, e.Shutdown(ctx))
		want := values{"data_points.dropped reason=shutdown": 1}
		assert.Equal(t, want, m.of(t, e), "what waited is counted, although the context has ended")

		close(g.open)
		synctest.Wait()
		assert.Equal(t, want.and(values{
			"metric_data_point.exported": 1,
			"operation.duration count":   1, "operation.duration sum": 0.1,
			"delivery.latency count": 1, "delivery.latency sum": 0.1,
		}), m.of(t, e), "and what was delivered after all")
	})
}

func TestTelemetryDoesNotDependOnContextsOfCallers(t *testing.T) {
	m, inner := newMeters(), &metrictest.Exporter{}
	e, _ := start(t, inner, m.option())
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, e.Export(ctx, metrictest.Numbers(5, 1)))
	cancel()
	require.NoError(t, e.ForceFlush(t.Context()))
	assert.Equal(t, 5.0, m.of(t, e)["metric_data_point.exported"])
	shutdown(t, e, inner)
}

// exerciseAll makes an exporter do something of everything: a collection is
// repeated, and one refused.
func exerciseAll(t *testing.T, m meters) (*asyncmetric.Exporter, *metrictest.Exporter) {
	t.Helper()
	e, inner, _ := exerciseWith(t, m)
	return e, inner
}

// exerciseWith does so with any MeterProvider, and returns what is reported.
func exerciseWith(t *testing.T, p apimetric.MeterProvider) (*asyncmetric.Exporter, *metrictest.Exporter, []error) {
	t.Helper()
	var at []time.Duration
	inner := &metrictest.Exporter{OnExport: failing(&at, errTransient, nil, errPermanent)}
	e, r := start(t, inner, fixed, asyncmetric.WithMeterProvider(p))
	export(t, e, 1, 2)
	elapse(time.Minute)
	return e, inner, r.errors()
}

func TestTelemetryHasNamesUnitsAndKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeters()
		e, inner := exerciseAll(t, m)
		component := []attribute.KeyValue{
			attribute.String("otel.component.name", e.Status().Name),
			attribute.String("otel.component.type", "github.com/asyncmetric/asyncmetric.Exporter"),
		}
		sum := func(monotonic bool, values map[attribute.KeyValue]int64) metricdata.Sum[int64] {
			data := metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: monotonic}
			for kv, value := range values {
				data.DataPoints = append(data.DataPoints, metricdata.DataPoint[int64]{
					Attributes: attribute.NewSet(append(component, kv)...), Value: value,
				})
			}
			return data
		}
		none := component[0]
		failed := attribute.String("error.type", "code 3")
		points, seconds := "{data_point}", "s"
		want := map[string]metricdata.Metrics{}
		add := func(name, unit string, data metricdata.Aggregation) {
			want[name] = metricdata.Metrics{Name: name, Unit: unit, Data: data}
		}
		type values = map[attribute.KeyValue]int64
		add("otel.sdk.exporter.metric_data_point.exported", points, sum(true, values{none: 1, failed: 1}))
		add("otel.sdk.exporter.metric_data_point.inflight", points, sum(false, values{none: 0}))
		add("asyncmetric.data_points.dropped", points, sum(true, values{attribute.String("reason", "permanent"): 1}))
		add("asyncmetric.data_points.coalesced", points, sum(true, values{none: 0}))
		add("asyncmetric.data_points.refused", points, sum(true, values{none: 0}))
		add("asyncmetric.export.retries", "{retry}", sum(true, values{none: 1}))
		add("asyncmetric.queue.size", points, sum(false, values{none: 0}))
		add("asyncmetric.queue.limit", "By", sum(false, values{none: 64 << 20}))
		add("asyncmetric.exemplars.dropped", "{exemplar}", sum(true, values{none: 0}))
		add("asyncmetric.queue.oldest_age", seconds, metricdata.Gauge[float64]{
			DataPoints: []metricdata.DataPoint[float64]{{Attributes: attribute.NewSet(component...)}},
		})

		got := m.collect(t)
		delete(got, "asyncmetric.queue.usage") // another test is about it
		const bounds = "[0.001 0.005 0.01 0.05 0.1 0.5 1 5 10 30 60 300 900 3600 14400 86400]"
		for _, name := range []string{"otel.sdk.exporter.operation.duration", "asyncmetric.delivery.latency"} {
			data := got[name].Data.(metricdata.Histogram[float64])
			assert.Equal(t, bounds, fmt.Sprint(data.DataPoints[0].Bounds))
			assert.Equal(t, "s", got[name].Unit)
			assert.NotEmpty(t, got[name].Description)
			delete(got, name)
		}
		require.Len(t, got, len(want))
		for name, metric := range want {
			assert.NotEmpty(t, got[name].Description, name)
			metric.Description = got[name].Description
			metricdatatest.AssertEqual(t, metric, got[name], metricdatatest.IgnoreTimestamp())
		}
		shutdown(t, e, inner)
	})
}

func TestTelemetryTellsExportersApart(t *testing.T) {
	m := newMeters()
	inner := []*metrictest.Exporter{{}, {}}
	first, _ := start(t, inner[0], m.option())
	second, _ := start(t, inner[1], m.option())
	assert.NotEqual(t, first.Status().Name, second.Status().Name)
	assert.Regexp(t, `^github\.com/asyncmetric/asyncmetric\.Exporter/\d+$`, first.Status().Name)
	require.NoError(t, first.Export(t.Context(), metrictest.Numbers(3, 1)))
	require.NoError(t, second.Export(t.Context(), metrictest.Numbers(4, 1)))
	require.NoError(t, first.ForceFlush(t.Context()))
	require.NoError(t, second.ForceFlush(t.Context()))
	assert.Equal(t, 3.0, m.of(t, first)["metric_data_point.exported"])
	assert.Equal(t, 4.0, m.of(t, second)["metric_data_point.exported"])
	shutdown(t, first, inner[0])
	shutdown(t, second, inner[1])
}

func TestTelemetryIsOffByDefault(t *testing.T) {
	m, before := newMeters(), otel.GetMeterProvider()
	otel.SetMeterProvider(m)
	defer otel.SetMeterProvider(before)
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner)
	export(t, e, 1)
	shutdown(t, e, inner)
	assert.Empty(t, m.collect(t))
}
