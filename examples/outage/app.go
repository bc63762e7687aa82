package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const (
	countries  = 12
	categories = 10 // 120 attribute sets on 4 instruments: 480 series
	writers    = 4
	burst      = 10 // orders that each writer takes in a millisecond

	instruments = 4
	perOrder    = 2 // values that an order records in histograms
)

// application is the one whose metrics are at stake: a shop, where several
// goroutines take orders and record each with two counters and two histograms.
type application struct {
	orders   metric.Int64Counter
	items    metric.Int64Counter
	size     metric.Int64Histogram
	duration metric.Float64Histogram
	series   []metric.MeasurementOption

	stopping context.CancelFunc
	running  sync.WaitGroup
	mu       sync.Mutex
	counted  totals
}

func newApplication(meter metric.Meter) (*application, error) {
	orders, err1 := meter.Int64Counter("shop.orders", metric.WithUnit("{order}"))
	items, err2 := meter.Int64Counter("shop.items", metric.WithUnit("{item}"))
	size, err3 := meter.Int64Histogram("shop.order.size", metric.WithUnit("{item}"))
	duration, err4 := meter.Float64Histogram("shop.order.duration", metric.WithUnit("s"))
	app := &application{orders: orders, items: items, size: size, duration: duration, series: newSeries()}
	return app, errors.Join(err1, err2, err3, err4)
}

// newSeries returns the attribute sets that the application records with.
func newSeries() []metric.MeasurementOption {
	var series []metric.MeasurementOption
	for country := range countries {
		for category := range categories {
			series = append(series, metric.WithAttributeSet(attribute.NewSet(
				attribute.String("country", fmt.Sprintf("country-%02d", country)),
				attribute.String("category", fmt.Sprintf("category-%02d", category)),
			)))
		}
	}
	return series
}

// start lets the writers take orders until stop.
func (a *application) start() {
	ctx, cancel := context.WithCancel(context.Background())
	a.stopping = cancel
	for range writers {
		a.running.Go(func() { a.write(ctx) })
	}
}

// stop ends all writers and returns exactly what they recorded.
func (a *application) stop() totals {
	a.stopping()
	a.running.Wait()
	return a.counted
}

// write takes a burst of orders every millisecond until ctx ends. It keeps a
// total of its own, apart from the instruments, as the truth to compare with.
func (a *application) write(ctx context.Context) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()

	var own totals
	for order := 0; ctx.Err() == nil; order += burst {
		for n := order; n < order+burst; n++ {
			own.add(a.record(n))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	a.counted.add(own)
}

// record takes one order and returns what that adds to the totals. It records
// with a context of its own: cancelling a writer must not change what counts.
func (a *application) record(order int) totals {
	ctx := context.Background()
	series := a.series[order%len(a.series)]
	items := int64(order%7 + 1)

	a.orders.Add(ctx, 1, series)
	a.items.Add(ctx, items, series)
	a.size.Record(ctx, items, series)
	a.duration.Record(ctx, float64(order%1000)/100, series)
	return totals{increments: 1 + items, recordings: perOrder}
}
