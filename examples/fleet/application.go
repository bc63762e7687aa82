package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	api "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/jetstream"
)

// An application counts, and hands over what it has counted. It does not wait
// for the stream: a queue in memory is in front.
type application struct {
	link     *link
	provider *metric.MeterProvider
	cancel   context.CancelFunc
	work     sync.WaitGroup
	counted  int64 // owned by work until it has ended
}

func startApplication(number int, url string) (*application, error) {
	l, err := connect(url)
	if err != nil {
		return nil, err
	}
	handover, err := jetstream.NewExporter(l.js,
		append(streamOptions, jetstream.WithTemporalitySelector(metric.DeltaTemporalitySelector))...)
	if err != nil {
		l.close()
		return nil, err
	}
	exporter, err := asyncmetric.New(handover)
	if err != nil {
		l.close()
		return nil, err
	}
	a := &application{link: l, provider: metric.NewMeterProvider(
		metric.WithResource(resource.NewSchemaless(attribute.Int("service.instance.id", number))),
		metric.WithReader(metric.NewPeriodicReader(exporter, metric.WithInterval(50*time.Millisecond))),
	)}
	counter, err := a.provider.Meter("fleet").Int64Counter("orders")
	if err != nil {
		return nil, errors.Join(err, a.stop())
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.work.Go(func() { a.count(ctx, counter) })
	return a, nil
}

// count counts until ctx ends.
func (a *application) count(ctx context.Context, counter api.Int64Counter) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			counter.Add(context.Background(), 1)
			a.counted++
		case <-ctx.Done():
			return
		}
	}
}

// finish ends the counting, waits until all has been handed over, and returns
// how much was counted.
func (a *application) finish(ctx context.Context) (int64, error) {
	a.cancel()
	a.work.Wait()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return a.counted, a.provider.ForceFlush(ctx)
}

// stop ends what finish has left, and all if that was not called.
func (a *application) stop() error {
	if a.cancel != nil {
		a.cancel()
		a.work.Wait()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := a.provider.Shutdown(ctx)
	a.link.close()
	return err
}
