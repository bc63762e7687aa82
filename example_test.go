package asyncmetric_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// printer stands for the exporter of your backend.
func printer() metric.Exporter {
	return &metrictest.Exporter{
		OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
			for _, sm := range rm.ScopeMetrics {
				for _, m := range sm.Metrics {
					fmt.Println(m.Name, m.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
				}
			}
			return nil
		},
	}
}

func Example() {
	ctx := context.Background()
	exporter, err := asyncmetric.New(printer()) // around the exporter that you have
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	reader := metric.NewPeriodicReader(exporter)
	provider := metric.NewMeterProvider(metric.WithReader(reader))

	requests, _ := provider.Meter("shop").Int64Counter("requests")
	requests.Add(ctx, 3)

	// Delivers what is queued, within the time of its context.
	if err := provider.Shutdown(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	// Output: requests 3
}

func ExampleNew() {
	exporter, err := asyncmetric.New(printer(),
		asyncmetric.WithMaxQueueBytes(256<<20),
		asyncmetric.WithExportTimeout(10*time.Second),
		asyncmetric.WithOnDrop(func(d asyncmetric.Drop) { fmt.Println(d.Points, d.Reason) }),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(exporter.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleNew_invalid() {
	_, err := asyncmetric.New(printer(), asyncmetric.WithMaxQueueBytes(0))
	fmt.Println(err)
	fmt.Println(errors.Is(err, asyncmetric.ErrInvalidOption))
	// Output:
	// asyncmetric: invalid option: WithMaxQueueBytes(0): must be at least 1
	// true
}

func ExampleWithOverflow() {
	// Only fresh data is of use here: what is oldest makes room.
	exporter, err := asyncmetric.New(printer(), asyncmetric.WithOverflow(queue.DropOldest))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(exporter.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleRetry() {
	const conflict = 409 // the backend has these points already
	exporter, err := asyncmetric.New(printer(), asyncmetric.WithRetry(asyncmetric.Retry{
		MaxElapsedTime: time.Hour,
		Jitter:         0.2,
		Classify: func(err error) asyncmetric.Verdict {
			if status, ok := asyncmetric.StatusOf(err); ok && status.HTTP == conflict {
				return asyncmetric.Verdict{Action: asyncmetric.ActionDrop}
			}
			return asyncmetric.Verdict{} // as DefaultClassify says
		},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(exporter.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleExporter_Stats() {
	exporter, err := asyncmetric.New(printer())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	_ = exporter.Export(ctx, metrictest.Numbers(2, 7))
	_ = exporter.ForceFlush(ctx)
	s := exporter.Stats()
	fmt.Println(s.Accepted, s.Exported, s.Dropped, s.Queued)
	_ = exporter.Shutdown(ctx)
	// Output:
	// sum.0 7
	// 2 2 0 0
}

func ExampleWithMeterProvider() {
	ctx := context.Background()
	reader := metric.NewManualReader() // or one of Prometheus, or a PeriodicReader
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	exporter, err := asyncmetric.New(printer(), asyncmetric.WithMeterProvider(provider))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = exporter.Export(ctx, metrictest.Numbers(2, 7))
	_ = exporter.Shutdown(ctx)

	var rm metricdata.ResourceMetrics
	_ = reader.Collect(ctx, &rm)
	for _, m := range rm.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			fmt.Println(m.Name, sum.DataPoints[0].Value)
		}
	}
	// Output:
	// sum.0 7
	// otel.sdk.exporter.metric_data_point.exported 2
}

// The metrics of the exporter may go through the exporter. The global
// MeterProvider is there before the one that needs the exporter, and passes on
// to it when it is set.
func ExampleWithMeterProvider_itself() {
	exporter, err := asyncmetric.New(printer(), asyncmetric.WithMeterProvider(otel.GetMeterProvider()))
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
	otel.SetMeterProvider(provider)
}
