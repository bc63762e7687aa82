package deltajudge

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// An application is what is under measurement. With every measurement it counts
// for itself what the judge should have in the end, apart from the SDK.
type application struct {
	name      string
	customers int // who come again and again
	visitors  int // who come with each collection, once
	provider  *sdkmetric.MeterProvider
	worked    int

	orders    metric.Int64Counter
	revenue   metric.Float64Counter
	carts     metric.Int64UpDownCounter
	stock     metric.Float64UpDownCounter
	items     metric.Int64Histogram
	weight    metric.Float64Histogram
	latency   metric.Int64Histogram
	deviation metric.Float64Histogram
	requests  map[string]int64 // observed

	counted totals
	visits  totals
}

// kinds is how many instruments an application has, each with a series for each
// customer.
const kinds = 9

// points returns how many points a collection has, at most.
func (a *application) points() int { return kinds*a.customers + a.visitors }

var bounds = []float64{2, 4, 8}

// open connects the instruments to a reader.
func (a *application) open(t *testing.T, reader sdkmetric.Reader) {
	a.requests, a.counted, a.visits = make(map[string]int64), make(totals), make(totals)
	// The processor looks at each bucket between two values: at the largest scale,
	// that takes very long.
	exponential := sdkmetric.Stream{Aggregation: sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 6}}
	a.provider = sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(resource.NewSchemaless(attribute.String("service.name", a.name))),
		sdkmetric.WithView(
			sdkmetric.NewView(sdkmetric.Instrument{Name: "latency"}, exponential),
			sdkmetric.NewView(sdkmetric.Instrument{Name: "deviation"}, exponential)),
		sdkmetric.WithReader(reader))
	var errs [kinds]error
	front, back := a.provider.Meter("front"), a.provider.Meter("back")
	a.orders, errs[0] = front.Int64Counter("orders")
	a.revenue, errs[1] = front.Float64Counter("revenue")
	a.carts, errs[2] = front.Int64UpDownCounter("carts")
	a.items, errs[3] = front.Int64Histogram("items", metric.WithExplicitBucketBoundaries(bounds...))
	a.latency, errs[4] = front.Int64Histogram("latency")
	a.stock, errs[5] = back.Float64UpDownCounter("stock")
	a.weight, errs[6] = back.Float64Histogram("weight", metric.WithExplicitBucketBoundaries(bounds...))
	a.deviation, errs[7] = back.Float64Histogram("deviation")
	_, errs[8] = back.Int64ObservableCounter("requests", metric.WithInt64Callback(
		func(_ context.Context, o metric.Int64Observer) error {
			for customer, n := range a.requests {
				o.Observe(n, metric.WithAttributes(attribute.String("customer", customer)))
			}
			return nil
		}))
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// work measures something of some customers, and of visitors who have not been
// there before. The n-th customer is there each n-th time.
func (a *application) work() {
	a.worked++
	for i := range a.customers {
		if a.worked%(i+1) == 0 {
			a.measure(fmt.Sprint(i), a.worked+i)
		}
	}
	for i := range a.visitors {
		visitor := fmt.Sprintf("visitor %d of %d", i, a.worked)
		a.orders.Add(context.Background(), 1, metric.WithAttributes(attribute.String("customer", visitor)))
		a.visits.add(key(a.name, "orders", visitor), 1)
	}
}

// measure makes the n-th measurement with each instrument. Each value is a sum
// of a few powers of 2, so that adding them up is exact in any order.
func (a *application) measure(customer string, n int) {
	ctx, who := context.Background(), metric.WithAttributes(attribute.String("customer", customer))
	of := func(name string) string { return key(a.name, name, customer) }
	quarters := float64(n%40) / 4

	a.orders.Add(ctx, int64(n), who)
	a.counted.add(of("orders"), float64(n))
	a.revenue.Add(ctx, quarters, who)
	a.counted.add(of("revenue"), quarters)
	a.carts.Add(ctx, int64(n%5-2), who)
	a.counted.add(of("carts"), float64(n%5-2))
	a.stock.Add(ctx, 2-quarters, who)
	a.counted.add(of("stock"), 2-quarters)
	a.requests[customer] += int64(n % 3)
	a.counted.add(of("requests"), float64(n%3))

	a.items.Record(ctx, int64(n%10), who)
	a.counted.record(of("items"), float64(n%10), bucketOf(float64(n%10)))
	a.weight.Record(ctx, quarters, who)
	a.counted.record(of("weight"), quarters, bucketOf(quarters))

	// Single values that lie far apart have a large scale, alone and together a
	// small one.
	latency := int64(3) << (n % 17)
	a.latency.Record(ctx, latency, who)
	a.counted.record(of("latency"), float64(latency), power(float64(latency)))
	deviation := math.Ldexp(float64(n%3-1)*1.5, n%20-10)
	a.deviation.Record(ctx, deviation, who)
	a.counted.record(of("deviation"), deviation, power(deviation))
}

// bucketOf is the name of the bucket of a histogram with the bounds that has the
// value.
func bucketOf(value float64) string {
	i, _ := slices.BinarySearch(bounds, value)
	return bucket(i)
}
