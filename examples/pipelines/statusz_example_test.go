package pipelines_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/examples/internal/receiver"
	"github.com/asyncmetric/asyncmetric/statusz"
)

// The page is for people, its JSON for programs.
func Example_statusz() {
	backend := receiver.NewHTTP()
	defer backend.Close()
	if err := runWithStatusPage(context.Background(), backend.Endpoint); err != nil {
		fmt.Println(err)
	}
	// Output: state: idle, exported: 1, dropped: 0
}

func runWithStatusPage(ctx context.Context, endpoint string) (err error) {
	inner, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpoint(endpoint),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
	)
	if err != nil {
		return err
	}
	exporter, err := asyncmetric.New(inner)
	if err != nil {
		return errors.Join(err, inner.Shutdown(ctx))
	}
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
	defer func() { err = errors.Join(err, shutdown(ctx, provider)) }()

	mux := http.NewServeMux()
	mux.Handle("GET /debug/asyncmetric", statusz.Handler(exporter)) // it shows errors and options: where only you can see it
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer func() {
		err = errors.Join(err, server.Close())
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
	}()

	orders, err := provider.Meter("shop").Int64Counter("orders")
	if err != nil {
		return err
	}
	orders.Add(ctx, 3)
	if err := flush(ctx, provider); err != nil {
		log.Print("what was counted is still queued: ", err)
	}
	return printStatus(ctx, "http://"+l.Addr().String()+"/debug/asyncmetric?format=json")
}

func printStatus(ctx context.Context, url string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	var status struct {
		Exporters []struct {
			State  string
			Totals struct{ Exported, Dropped int }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
		return err
	}
	for _, e := range status.Exporters {
		fmt.Printf("state: %s, exported: %d, dropped: %d\n", e.State, e.Totals.Exported, e.Totals.Dropped)
	}
	return nil
}
