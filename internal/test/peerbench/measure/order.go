package measure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/backend"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/workload"
)

// OrderPause is the time between two collections in the measurement of order: 10
// seconds, in 1/250 of the time.
const OrderPause = 10 * time.Second / orderTimeScale

// A quarter of the collections come while the backend answers 503. Then it fails
// one request of five, and takes up to orderLatency for each. Replicas get
// batches, so that they have something to share.
const (
	orderSeries    = 1000
	orderBatch     = 250
	orderTimeScale = 250
	orderLatency   = 20 * time.Millisecond
	orderFailures  = 0.2
	orderWorkers   = 4
	// orderIdle is when nothing more is expected: longer than all back-offs.
	orderIdle = 2 * time.Minute / orderTimeScale
)

func orderRivals() []rival.Rival {
	parallel := func(r rival.Rival, what string) rival.Rival {
		return r.With(fmt.Sprintf("%s, %d %s", r.Name, orderWorkers, what), func(s *rival.Settings) {
			s.Workers, s.BatchSize = orderWorkers, orderBatch
		})
	}
	one := func(r rival.Rival, what string) rival.Rival {
		return r.With(r.Name+", "+what, func(s *rival.Settings) { s.Workers = 1 })
	}
	return []rival.Rival{
		parallel(rival.Async, "replicas"),
		one(rival.Async, "1 exporter"),
		parallel(rival.Helper, "consumers"),
		one(rival.Helper, "1 consumer"),
		parallel(rival.HandWritten, "goroutines"),
	}
}

// Order measures what Prometheus refuses because it comes too late.
func (p Plan) Order(ctx context.Context) (*Table, error) {
	rivals := orderRivals()
	t := emptyTable("order", "", []Column{
		{Name: "requests refused", Unit: Count},
		{Name: "samples missing", Unit: Percent},
		{Name: "until the last answer", Unit: Seconds},
	}, rivals)
	err := p.rotate(rivals, func(r rival.Rival) error {
		return withFolder(func(dir string) error {
			values, err := p.orderOf(ctx, r, dir)
			t.add(r.Name, values...)
			return err
		})
	})
	return t, err
}

func (p Plan) orderOf(ctx context.Context, r rival.Rival, dir string) (values []float64, err error) {
	prometheus, err := backend.OpenPrometheus(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, prometheus.Close()) }()
	b, err := backend.Open(unsteady(prometheus))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	target := rival.NewHTTP(b.Endpoint(), sdkmetric.DefaultTemporalitySelector, orderTimeScale)
	defer target.Close()
	e, err := r.Open(ctx, rival.Settings{
		Target: target, Collections: p.Ordered, Points: orderSeries, TimeScale: orderTimeScale,
	})
	if err != nil {
		return nil, err
	}
	took, err := p.sendOrdered(ctx, e, b)
	if err = errors.Join(err, e.Shutdown(ctx)); err != nil {
		return nil, err
	}
	stored, err := prometheus.Samples(ctx)
	missing := 1 - float64(stored)/float64(p.Ordered*orderSeries)
	return []float64{float64(prometheus.Refused()), 100 * missing, took.Seconds()}, err
}

// unsteady is the behaviour of the backend, the same one each time as far as
// requests come in the same order.
func unsteady(p *backend.Prometheus) backend.Options {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Float64()
	}
	return backend.Options{
		Handler: p,
		Latency: func() time.Duration { return time.Duration(draw() * float64(orderLatency)) },
		Fails:   func() bool { return draw() < orderFailures },
	}
}

// sendOrdered exports collections, and returns when the backend has not answered
// one for a while. It returns how long the last one of them took from the end of
// the outage.
func (p Plan) sendOrdered(ctx context.Context, e sdkmetric.Exporter, b *backend.Backend) (time.Duration, error) {
	w, err := workload.New(orderSeries, workload.Counters, sdkmetric.DefaultTemporalitySelector)
	if err != nil {
		return 0, err
	}
	defer func() { _ = w.Shutdown(ctx) }()
	if err := b.Fail(); err != nil {
		return 0, err
	}
	var recovered time.Time
	for i := range p.Ordered {
		if i == p.Ordered/4 {
			recovered = time.Now()
			err = b.Recover()
		}
		rm, collectErr := w.Collect(ctx)
		if err = errors.Join(err, collectErr); err != nil {
			return 0, err
		}
		if err := e.Export(ctx, rm); err != nil {
			return 0, fmt.Errorf("collection %d: %w", i, err)
		}
		time.Sleep(OrderPause)
	}
	return awaitIdle(b).Sub(recovered), nil
}

// awaitIdle returns when the backend has answered its last request.
func awaitIdle(b *backend.Backend) time.Time {
	last, at := b.Answered(), time.Now()
	for time.Since(at) < orderIdle {
		time.Sleep(time.Millisecond)
		if now := b.Answered(); now != last {
			last, at = now, time.Now()
		}
	}
	return at
}
