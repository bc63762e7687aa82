package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// Totals is what is compared in the end: an application adds up what it
// measures, a backend what arrives. All of it is whole numbers, so that one lost
// or repeated measurement shows.
type Totals struct {
	Increments int64 // sum of what counters were increased by
	Recordings int64 // number of values that histograms recorded
}

// Sum returns all measurements taken together.
func (t Totals) Sum() int64 { return t.Increments + t.Recordings }

// ApplicationSeries is how many series an [Application] has.
const ApplicationSeries = 150

// pause is the time between two rounds of measurements of an application.
const pause = 5 * time.Millisecond

// An Application counts for itself what it measures while it runs. It has one
// provider for any number of readers, which all get to see the same.
type Application struct {
	provider  *sdkmetric.MeterProvider
	counter   metric.Int64Counter
	histogram metric.Int64Histogram
	options   []metric.MeasurementOption
	counted   Totals // owned by run until it has ended

	stop    chan struct{}
	running sync.WaitGroup
}

// NewApplication returns an application that is not running yet.
func NewApplication(readers ...sdkmetric.Reader) (*Application, error) {
	options := []sdkmetric.Option{sdkmetric.WithResource(Identity())}
	for _, r := range readers {
		options = append(options, sdkmetric.WithReader(r))
	}
	a := &Application{provider: sdkmetric.NewMeterProvider(options...), stop: make(chan struct{})}
	for _, set := range Series(ApplicationSeries) {
		a.options = append(a.options, metric.WithAttributeSet(set))
	}
	var err error
	meter := a.provider.Meter("peerbench")
	if a.counter, err = meter.Int64Counter("app.requests"); err != nil {
		return nil, fmt.Errorf("counter: %w", err)
	}
	if a.histogram, err = meter.Int64Histogram("app.sizes"); err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	return a, nil
}

// Start makes it measure until Stop.
func (a *Application) Start() { a.running.Go(a.run) }

// Stop ends the measurements and returns what was counted.
func (a *Application) Stop() Totals {
	close(a.stop)
	a.running.Wait()
	return a.counted
}

// Shutdown ends the SDK with its readers.
func (a *Application) Shutdown(ctx context.Context) error { return a.provider.Shutdown(ctx) }

func (a *Application) run() {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for round := int64(0); ; round++ {
		select {
		case <-a.stop:
			return
		case <-ticker.C:
			a.measure(round)
		}
	}
}

// measure counts on two thirds of the series and records on the others.
func (a *Application) measure(round int64) {
	ctx := context.Background()
	for i, option := range a.options {
		if i%3 == 0 {
			a.histogram.Record(ctx, int64(i)*round%5000, option)
			a.counted.Recordings++
			continue
		}
		n := 1 + round%3
		a.counter.Add(ctx, n, option)
		a.counted.Increments += n
	}
}
