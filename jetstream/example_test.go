package jetstream_test

import (
	"context"
	"errors"
	"log"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/jetstream"
)

// An application hands its collections over and does not wait for the network:
// the queue in front, here in memory, takes them at once, and holds them while
// the stream is away. The broker need not be there when the application starts.
func ExampleNewExporter() {
	conn, err := nats.Connect("nats://broker:4222", nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	js, err := natsjs.New(conn)
	if err != nil {
		log.Fatal(err)
	}
	handover, err := jetstream.NewExporter(js, jetstream.WithReplicas(3))
	if err != nil {
		log.Fatal(err)
	}
	exporter, err := asyncmetric.New(handover)
	if err != nil {
		log.Fatal(err)
	}
	provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(exporter)))

	// ... the application ...

	// ForceFlush waits until the stream has acknowledged what was collected.
	ctx := context.Background()
	if err := errors.Join(provider.ForceFlush(ctx), provider.Shutdown(ctx)); err != nil {
		log.Print(err)
	}
}

// A relay is an exporter whose Export nobody calls.
func ExampleOpen() {
	conn, err := nats.Connect("nats://broker:4222", nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	js, err := natsjs.New(conn)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	q, err := jetstream.Open(ctx, js, jetstream.WithReplicas(3))
	if err != nil {
		log.Fatal(err)
	}
	var inner sdk.Exporter // of the backend; with otlpmetrichttp.New, say
	relay, err := asyncmetric.New(inner, asyncmetric.WithQueue(q))
	if err != nil {
		log.Fatal(err)
	}

	// ... until it is told to end ...

	if err := relay.Shutdown(ctx); err != nil {
		log.Print(err)
	}
}
