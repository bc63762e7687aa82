package integration

import (
	"fmt"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// A reading is a data point of a shop, but for the last of a gauge, which does
// not add up.
type reading struct {
	country    string
	start, at  uint64
	cumulative bool
	numbers    []float64 // in the order of keysOf
}

func (r reading) fingerprint() fingerprint {
	f := fingerprint{start: r.start, at: r.at}
	for _, n := range r.numbers {
		f.sum += n
	}
	return f
}

// precedes reports whether next can follow in a series: it begins where r ends,
// or later. If it begins where r begins, both are cumulative.
func (r reading) precedes(next reading) bool {
	if next.cumulative && r.start == next.start {
		return r.at < next.at
	}
	return r.at <= next.start && next.start < next.at
}

// prometheusNames are those that counts use.
var prometheusNames = map[string]string{
	"shop.orders": "shop_orders_total", "shop.revenue": "shop_revenue_EUR_total", "shop.carts": "shop_carts",
	"shop.size": "shop_size_bytes", "shop.duration": "shop_duration_seconds",
	"back.parcels": "back_parcels_total", "back.stock": "back_stock_kg",
}

// keysOf returns the keys that counts have for the numbers of a point.
func keysOf(id seriesID) (keys []string) {
	name := prometheusNames[id.metric]
	of := func(suffix string, pairs ...string) string {
		return series(name+suffix, append([]string{"country", id.country}, pairs...)...)
	}
	switch id.metric {
	case "shop.size":
		keys = []string{of("_count"), of("_sum")}
		for _, bound := range bounds {
			keys = append(keys, of("_bucket", "le", fmt.Sprint(bound)))
		}
		return append(keys, of("_bucket", "le", "+Inf"))
	case "shop.duration":
		return []string{ofNative(of(""), "count"), ofNative(of(""), "sum")}
	default:
		return []string{of("")}
	}
}

func readingsOf(m *metricspb.Metric) (all []reading) {
	switch data := m.GetData().(type) {
	case *metricspb.Metric_Sum:
		for _, p := range data.Sum.GetDataPoints() {
			all = append(all, readingOf(p, data.Sum, float64(p.GetAsInt())+p.GetAsDouble()))
		}
	case *metricspb.Metric_Histogram:
		for _, p := range data.Histogram.GetDataPoints() {
			r := readingOf(p, data.Histogram, float64(p.GetCount()), p.GetSum())
			var below uint64
			for _, n := range p.GetBucketCounts() {
				below += n
				r.numbers = append(r.numbers, float64(below))
			}
			all = append(all, r)
		}
	case *metricspb.Metric_ExponentialHistogram:
		for _, p := range data.ExponentialHistogram.GetDataPoints() {
			all = append(all, readingOf(p, data.ExponentialHistogram, float64(p.GetCount()), p.GetSum()))
		}
	}
	return all
}

// readingOf returns a reading from what all kinds of points have in common.
func readingOf(p interface {
	GetAttributes() []*commonpb.KeyValue
	GetStartTimeUnixNano() uint64
	GetTimeUnixNano() uint64
}, of interface {
	GetAggregationTemporality() metricspb.AggregationTemporality
}, numbers ...float64,
) reading {
	return reading{
		country:    p.GetAttributes()[0].GetValue().GetStringValue(),
		start:      p.GetStartTimeUnixNano(),
		at:         p.GetTimeUnixNano(),
		cumulative: of.GetAggregationTemporality() == metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
		numbers:    numbers,
	}
}
