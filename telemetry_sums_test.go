package asyncmetric_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// sumOf adds up the values whose names begin and end so.
func (v values) sumOf(prefix, suffix string) (sum float64) {
	for name, value := range v {
		if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) {
			sum += value
		}
	}
	return sum
}

// Whatever happens, the metrics say the same as Stats and the hook.
func TestTelemetryAddsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		outcomes := rapid.SliceOfN(rapid.SampledFrom([]error{
			nil, nil, errTransient, errTransient, errPermanent, PartialSuccess{RejectedItems: 3}, PartialSuccess{},
		}), 1, 30).Draw(rt, "outcomes")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 12), 1, 20).Draw(rt, "sizes")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 20).Draw(rt, "pauses")
		opts := []asyncmetric.Option{
			asyncmetric.WithMaxExportBatchSize(rapid.IntRange(1, 9).Draw(rt, "batch")),
			asyncmetric.WithMaxQueueSize(rapid.IntRange(1, 40).Draw(rt, "bound")),
			asyncmetric.WithOverflow(rapid.SampledFrom([]queue.Overflow{
				queue.Coalesce, queue.DropOldest, queue.DropNewest,
			}).Draw(rt, "overflow")),
			asyncmetric.WithMaxAge(time.Duration(rapid.IntRange(0, 9).Draw(rt, "age")) * time.Second),
			asyncmetric.WithRetry(asyncmetric.Retry{
				MaxElapsedTime: time.Duration(rapid.IntRange(0, 9).Draw(rt, "elapsed")) * time.Second,
			}),
		}
		if rapid.Bool().Draw(rt, "merging") {
			opts = append(opts, asyncmetric.WithMerging(500*time.Millisecond))
		}
		drain := time.Duration(rapid.IntRange(1, 60).Draw(rt, "drain")) * time.Second

		synctest.Test(t, func(t *testing.T) {
			calls := 0
			inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
				time.Sleep(time.Millisecond)
				calls++
				return outcomes[calls%len(outcomes)]
			}}
			m := newMeters()
			e, r := start(t, inner, append(opts, m.option())...)
			for i, size := range sizes {
				_ = e.Export(t.Context(), metrictest.Numbers(size, int64(i)))
				elapse(time.Duration(pauses[i%len(pauses)]) * time.Second)
			}
			coalesced := m.of(t, e)["data_points.coalesced"] // it ends with Shutdown
			ctx, cancel := context.WithTimeout(t.Context(), drain)
			defer cancel()
			_ = e.Shutdown(ctx)

			s, got := e.Stats(), m.of(t, e)
			assertSettled(t, s)
			assert.InDelta(t, s.Exported, got["metric_data_point.exported"], 0)
			assert.InDelta(t, s.Dropped, got.sumOf("data_points.dropped", ""), 0)
			assert.InDelta(t, s.Coalesced, coalesced, 0)
			assert.InDelta(t, s.Retries, got["export.retries"], 0)
			assert.InDelta(t, calls-int(s.Retries), got.sumOf("operation.duration", " count"), 0, "first attempts")
			byDelivery := 0
			for reason, points := range r.dropped() {
				assert.InDelta(t, points, got["data_points.dropped reason="+string(reason)], 0)
				if reason != asyncmetric.ReasonOverflow && reason != asyncmetric.ReasonShutdown {
					byDelivery += points
				}
			}
			failed := got.sumOf("metric_data_point.exported error.type=", "") - got["metric_data_point.exported error.type=shutdown"]
			assert.InDelta(t, byDelivery, failed, 0)
			assert.LessOrEqual(t, got["metric_data_point.exported error.type=shutdown"], got["data_points.dropped reason=shutdown"])
		})
	})
}
