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
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
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

func (quota) Error() string     { return "quota" }
func (quota) ErrorType() string { return "quota_exceeded" }

// mute is an error whose error.type cannot be had.
type mute struct{}

func (mute) Error() string     { return "mute" }
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
		{"permanent", fails(errPermanent), "*errors.errorString", 0, 1},
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
