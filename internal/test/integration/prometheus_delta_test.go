package integration

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// Prometheus adds deltas up (feature flag otlp-deltatocumulative). It knows by
// the times of the points which ones it has, so that no repetition counts
// twice. But it forgets its sums when it restarts.
func TestPrometheusHasTheSumsOfDeltasAfterARandomMixOfOutages(t *testing.T) {
	forEachSetup(t, "added up", func(t *testing.T, s setup) {
		s.temporality = sdkmetric.DeltaTemporalitySelector
		outages := slices.DeleteFunc(quick(s.outages()), func(o outage) bool { return o.restarts })
		store, p := sufferMix(t, s, outages, convertDelta)
		store.assertNothingRefused(true)
		store.assertStored(p.history, !s.coalesces)
		store.assertCurrent(p.shop.now())
	})
}

// Prometheus keeps deltas as they are (feature flag
// otlp-native-delta-ingestion), and a query adds them up.
func TestPrometheusHasAllDeltasAfterARandomMixOfOutages(t *testing.T) {
	forEachSetup(t, "kept", func(t *testing.T, s setup) {
		s.temporality = sdkmetric.DeltaTemporalitySelector
		store, p := sufferMix(t, s, quick(refusals), nativeDelta)
		store.assertNothingRefused(false)
		store.assertSums(p.shop.now())
	})
}

// assertSums demands that the stored deltas add up to what was counted.
func (s *store) assertSums(counted counts) {
	s.t.Helper()
	for _, country := range countries {
		for _, name := range []string{
			"shop_orders_total", "shop_revenue_EUR_total", "back_parcels_total", "shop_size_bytes_count", "shop_size_bytes_sum",
		} {
			s.assertSum(counted, series(name, "country", country))
		}
		for _, le := range []string{"1", "2", "5", "+Inf"} {
			s.assertSum(counted, series("shop_size_bytes_bucket", "country", country, "le", le))
		}
		duration := series("shop_duration_seconds", "country", country)
		for _, what := range []string{"count", "sum"} {
			sum := s.scalar(fmt.Sprintf("histogram_%s(sum_over_time(%s[1h]))", what, duration))
			assert.Equal(s.t, counted[ofNative(duration, what)], sum, duration)
		}
	}
}

func (s *store) assertSum(counted counts, series string) {
	s.t.Helper()
	assert.Equal(s.t, counted[series], s.scalar("sum_over_time("+series+"[1h])"), series)
}
