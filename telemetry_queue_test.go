package asyncmetric_test

import (
	"context"
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

// boundless is a queue whose bound is not one of data points.
type boundless struct{ queue.Queue }

func (boundless) Info() queue.Info { return queue.Info{} }

func newQueue(t *testing.T) queue.Queue {
	t.Helper()
	q, err := queue.NewMemory(10, queue.DropNewest)
	require.NoError(t, err)
	return q
}

func TestTelemetryHasNoCapacityOfAQueueThatHasNone(t *testing.T) {
	m, inner := newMeters(), &metrictest.Exporter{}
	e, _ := start(t, inner, m.option(), asyncmetric.WithQueue(boundless{newQueue(t)}))
	want := idle()
	delete(want, "queue.capacity")
	assert.Equal(t, want, m.of(t, e))
	shutdown(t, e, inner)
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

// durable is a queue that keeps what was not delivered, as far as an exporter
// can tell.
type durable struct{ queue.Queue }

func (durable) Info() queue.Info { return queue.Info{Durable: true} }

func (d durable) Close() error {
	d.Seal()
	return nil
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
