package jetstream_test

import (
	"context"
	"fmt"
	"log"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/jetstream"
)

// connect connects to a broker, which need not be there yet, and never gives up.
func connect(url string) (natsjs.JetStream, *nats.Conn) {
	conn, err := nats.Connect(url, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	js, err := natsjs.New(conn)
	if err != nil {
		log.Fatal(err)
	}
	return js, conn
}

// An application hands its collections over and does not wait for the network:
// the queue in front, here in memory, takes them at once, and holds them while
// the stream is away.
func ExampleNewExporter() {
	ctx := context.Background()
	url, stop := startBroker()
	defer stop()
	js, conn := connect(url)
	defer conn.Close()

	handover, err := jetstream.NewExporter(js) // with a cluster: jetstream.WithReplicas(3)
	if err != nil {
		log.Fatal(err)
	}
	exporter, err := asyncmetric.New(handover) // with a disk: asyncmetric.WithQueue of package spool
	if err != nil {
		log.Fatal(err)
	}
	provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(exporter)))
	orders, err := provider.Meter("shop").Int64Counter("orders")
	if err != nil {
		log.Fatal(err)
	}
	orders.Add(ctx, 1)

	// ForceFlush waits until the stream has acknowledged what was collected.
	fmt.Println("flushed:", provider.ForceFlush(ctx))
	fmt.Println("collections in the stream:", collectionsInStream(ctx, js))
	fmt.Println("shut down:", provider.Shutdown(ctx))
	// Output:
	// flushed: <nil>
	// collections in the stream: 1
	// shut down: <nil>
}

func collectionsInStream(ctx context.Context, js natsjs.JetStream) uint64 {
	q, err := jetstream.Open(ctx, js, jetstream.PublishOnly())
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	backlog, err := q.Backlog(ctx)
	if err != nil {
		log.Fatal(err)
	}
	return backlog.Messages
}

// A relay is an exporter whose Export nobody calls.
func ExampleOpen() {
	ctx := context.Background()
	url, stop := startBroker()
	defer stop()
	handOver(ctx, url, 3)

	js, conn := connect(url)
	defer conn.Close()
	q, err := jetstream.Open(ctx, js)
	if err != nil {
		log.Fatal(err)
	}
	inner := &backend{delivered: make(chan int)} // with a real backend: otlpmetrichttp.New(ctx)
	relay, err := asyncmetric.New(inner, asyncmetric.WithQueue(q))
	if err != nil {
		log.Fatal(err)
	}
	for sum := 0; sum < 3; {
		sum += <-inner.delivered
		fmt.Println("data points delivered:", sum)
	}
	fmt.Println("shut down:", relay.Shutdown(ctx))
	// Output:
	// data points delivered: 1
	// data points delivered: 2
	// data points delivered: 3
	// shut down: <nil>
}

// handOver is an application elsewhere.
func handOver(ctx context.Context, url string, collections int) {
	js, conn := connect(url)
	defer conn.Close()
	handover, err := jetstream.NewExporter(js)
	if err != nil {
		log.Fatal(err)
	}
	provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(handover)))
	orders, err := provider.Meter("shop").Int64Counter("orders")
	if err != nil {
		log.Fatal(err)
	}
	orders.Add(ctx, 1)
	for range collections - 1 {
		if err := provider.ForceFlush(ctx); err != nil {
			log.Fatal(err)
		}
	}
	if err := provider.Shutdown(ctx); err != nil { // the last one
		log.Fatal(err)
	}
}

// A backend is told of what it gets.
type backend struct{ delivered chan int }

func (*backend) Temporality(k sdk.InstrumentKind) metricdata.Temporality {
	return sdk.DefaultTemporalitySelector(k)
}

func (*backend) Aggregation(k sdk.InstrumentKind) sdk.Aggregation {
	return sdk.DefaultAggregationSelector(k)
}

func (b *backend) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			b.delivered <- len(m.Data.(metricdata.Sum[int64]).DataPoints)
		}
	}
	return nil
}

func (*backend) ForceFlush(context.Context) error { return nil }

func (*backend) Shutdown(context.Context) error { return nil }
