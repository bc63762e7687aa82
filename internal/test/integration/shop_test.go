package integration

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// counts has the value that each series of Prometheus should have. A native
// histogram has two, see ofNative.
type counts map[string]float64

// series is the key of counts.
func series(name string, pairs ...string) string {
	return labels.FromStrings(append(pairs, model.MetricNameLabel, name)...).String()
}

// A shop is the application under test. With every measurement it counts for
// itself what Prometheus should have in the end, apart from the SDK.
type shop struct {
	orders      metric.Int64Counter
	revenue     metric.Float64Counter
	carts       metric.Int64UpDownCounter
	temperature metric.Float64Gauge
	size        metric.Int64Histogram
	duration    metric.Float64Histogram
	parcels     metric.Int64Counter
	stock       metric.Float64UpDownCounter

	counted counts
}

// Of the instruments.
var (
	countries = []string{"de", "fr", "it"}
	bounds    = []float64{1, 2, 5}
)

// counters are the series that never go down.
var counters = []string{
	"shop_orders_total", "shop_revenue_EUR_total", "back_parcels_total",
	"shop_size_bytes_bucket", "shop_size_bytes_count", "shop_size_bytes_sum", "shop_duration_seconds",
}

// pointsPerCollection is how many data points the SDK makes of a shop.
var pointsPerCollection = 8 * len(countries)

// durationView makes the histogram exponential, which Prometheus calls native.
func durationView() sdkmetric.View {
	return sdkmetric.NewView(sdkmetric.Instrument{Name: "shop.duration"}, sdkmetric.Stream{
		Aggregation: sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20},
	})
}

func openShop(t *testing.T, provider metric.MeterProvider) *shop {
	s := &shop{counted: make(counts)}
	var errs [8]error
	front, back := provider.Meter("shop/front"), provider.Meter("shop/back")
	s.orders, errs[0] = front.Int64Counter("shop.orders", metric.WithUnit("{order}"))
	s.revenue, errs[1] = front.Float64Counter("shop.revenue", metric.WithUnit("EUR"))
	s.carts, errs[2] = front.Int64UpDownCounter("shop.carts", metric.WithUnit("{cart}"))
	s.temperature, errs[3] = front.Float64Gauge("shop.temperature", metric.WithUnit("Cel"))
	s.size, errs[4] = front.Int64Histogram("shop.size", metric.WithUnit("By"), metric.WithExplicitBucketBoundaries(bounds...))
	s.duration, errs[5] = front.Float64Histogram("shop.duration", metric.WithUnit("s"))
	s.parcels, errs[6] = back.Int64Counter("back.parcels", metric.WithUnit("{parcel}"))
	s.stock, errs[7] = back.Float64UpDownCounter("back.stock", metric.WithUnit("kg"))
	for _, err := range errs {
		require.NoError(t, err)
	}
	return s
}

// work records the n-th measurements of everything. All values are sums of
// powers of two, so that adding them up is exact in any order.
func (s *shop) work(n int) {
	for i, country := range countries {
		s.record(country, n+i)
	}
}

func (s *shop) record(country string, n int) {
	ctx, where := context.Background(), metric.WithAttributes(attribute.String("country", country))
	of := func(name string) string { return series(name, "country", country) }
	quarters := float64(n%40) / 4

	s.orders.Add(ctx, int64(n), where)
	s.counted[of("shop_orders_total")] += float64(n)
	s.revenue.Add(ctx, quarters, where)
	s.counted[of("shop_revenue_EUR_total")] += quarters
	s.carts.Add(ctx, int64(n%5-2), where)
	s.counted[of("shop_carts")] += float64(n%5 - 2)
	s.temperature.Record(ctx, -quarters, where)
	s.counted[of("shop_temperature_celsius")] = -quarters
	s.parcels.Add(ctx, 1, where)
	s.counted[of("back_parcels_total")]++
	s.stock.Add(ctx, 2-quarters, where)
	s.counted[of("back_stock_kg")] += 2 - quarters

	s.size.Record(ctx, int64(n%7), where)
	s.countSize(country, float64(n%7))
	s.duration.Record(ctx, quarters, where)
	s.counted[ofNative(of("shop_duration_seconds"), "count")]++
	s.counted[ofNative(of("shop_duration_seconds"), "sum")] += quarters
}

// countSize counts what becomes of a value in the series of a histogram.
func (s *shop) countSize(country string, value float64) {
	s.counted[series("shop_size_bytes_count", "country", country)]++
	s.counted[series("shop_size_bytes_sum", "country", country)] += value
	s.counted[series("shop_size_bytes_bucket", "country", country, "le", "+Inf")]++
	for _, bound := range bounds {
		bucket := series("shop_size_bytes_bucket", "country", country, "le", fmt.Sprint(bound))
		s.counted[bucket] += 0 // it exists
		if value <= bound {
			s.counted[bucket]++
		}
	}
}

// ofNative is the key of what is in a native histogram.
func ofNative(series, what string) string { return series + " " + what }

// now returns what is counted so far.
func (s *shop) now() counts { return maps.Clone(s.counted) }
