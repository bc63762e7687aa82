package main

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/jetstream"
)

// A relay delivers to the backend. It is an exporter whose Export nobody calls.
type relay struct {
	link     *link
	queue    *jetstream.Queue
	exporter *asyncmetric.Exporter
	dead     chan struct{} // closed when it is killed
	once     sync.Once
}

func startRelay(ctx context.Context, url string, b *backend) (*relay, error) {
	l, err := connect(url)
	if err != nil {
		return nil, err
	}
	r := &relay{link: l, dead: make(chan struct{})}
	if r.queue, err = jetstream.Open(ctx, l.js, streamOptions...); err != nil {
		l.close()
		return nil, err
	}
	if r.exporter, err = asyncmetric.New(&delivery{relay: r, backend: b}, asyncmetric.WithQueue(r.queue)); err != nil {
		_ = r.queue.Close()
		l.close()
		return nil, err
	}
	return r, nil
}

// kill does what the end of a process would do: the connection breaks, and
// nothing is delivered any more.
func (r *relay) kill() {
	close(r.dead)
	r.link.close()
}

// drain waits until the stream is empty.
func (r *relay) drain(ctx context.Context) error {
	for {
		switch b, err := r.queue.Backlog(ctx); {
		case err != nil:
			return err
		case b.Messages == 0:
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func (r *relay) stop() {
	r.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.exporter.Shutdown(ctx) // what it has not delivered stays in the stream
		r.link.close()
	})
}

// A delivery is the way from a relay to the backend.
type delivery struct {
	relay   *relay
	backend *backend
}

func (d *delivery) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if err := pause(ctx, 2*time.Millisecond); err != nil { // the backend takes its time
		return err
	}
	select {
	case <-d.relay.dead:
		<-ctx.Done() // a dead process does not answer
		return ctx.Err()
	default:
		d.backend.receive(rm)
		return nil
	}
}

func (d *delivery) Temporality(metric.InstrumentKind) metricdata.Temporality {
	return metricdata.DeltaTemporality
}

func (d *delivery) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	return metric.DefaultAggregationSelector(k)
}

func (d *delivery) ForceFlush(context.Context) error { return nil }

func (d *delivery) Shutdown(context.Context) error { return nil }
