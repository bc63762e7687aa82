package pipelines_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/examples/internal/receiver"
)

// Prometheus receives OTLP at /api/v1/otlp/v1/metrics if it is started with
// --web.enable-otlp-receiver. Some things are different from other backends:
//
// It wants cumulative temporality, which is the default of the exporter, and
// refuses deltas unless a feature flag says otherwise. What an overflow of the
// queue joins are then running totals, of which the newer one stays.
//
// It makes the labels job and instance of service.name and service.instance.id.
// Processes without an instance of their own share their series.
//
// It refuses samples that are more than an hour older than the newest that it
// has of any series, so of a longer outage the beginning, unless
// storage.tsdb.out_of_order_time_window is set as long.
//
// It adds a series target_info to every request of a resource with more
// attributes than those two and service.namespace, and refuses it out of order.
// With WithReplicas, keep the resource to those three, or set the window.
func Example_prometheus() {
	prometheus := receiver.NewHTTP()
	defer prometheus.Close()
	if err := runToPrometheus(context.Background(), prometheus.Endpoint); err != nil {
		fmt.Println(err)
	}
	fmt.Println("orders:", prometheus.Sum("orders"))
	fmt.Println("deltas:", prometheus.SawDeltas())
	fmt.Println("path:", prometheus.OnlyPath("/api/v1/otlp/v1/metrics"))
	// Output:
	// orders: 3
	// deltas: false
	// path: true
}

func runToPrometheus(ctx context.Context, endpoint string) (err error) {
	inner, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpointURL("http://"+endpoint+"/api/v1/otlp/v1/metrics"),
		otlpmetrichttp.WithTemporalitySelector(metric.DefaultTemporalitySelector), // cumulative
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
	)
	if err != nil {
		return err
	}
	exporter, err := asyncmetric.New(inner)
	if err != nil {
		return errors.Join(err, inner.Shutdown(ctx))
	}
	provider := metric.NewMeterProvider(
		metric.WithReader(metric.NewPeriodicReader(exporter)),
		metric.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "shop"),
			attribute.String("service.instance.id", "shop-7f9c"), // of this process: the name of the pod, say
		)),
	)
	defer func() { err = errors.Join(err, shutdown(ctx, provider)) }()

	orders, err := provider.Meter("shop").Int64Counter("orders")
	if err != nil {
		return err
	}
	orders.Add(ctx, 1)
	if err := flush(ctx, provider); err != nil {
		log.Print("what was counted is still queued: ", err)
	}
	orders.Add(ctx, 2)
	return nil
}
