package spool_test

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/spool"
)

// A process accepts collections while the backend is down, and the next one
// delivers them.
func Example() {
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	backend := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
		return context.DeadlineExceeded // down
	}}

	process := func(values ...int64) {
		q, err := spool.Open(dir)
		if err != nil {
			panic(err)
		}
		exporter, err := asyncmetric.New(backend, asyncmetric.WithQueue(q),
			asyncmetric.WithErrorHandler(silent{}))
		if err != nil {
			panic(err)
		}
		fmt.Println("found:", q.Stats().Collections)
		for _, v := range values {
			if err := exporter.Export(context.Background(), metrictest.Numbers(1, v)); err != nil {
				panic(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		if len(values) > 0 {
			cancel() // there is no time to wait for the backend
		}
		defer cancel()
		_ = exporter.Shutdown(ctx)
	}
	process(1, 2, 3)
	backend.OnExport = nil // up
	process()
	fmt.Println("delivered:", metrictest.Values(backend.Delivered()))

	// Output:
	// found: 0
	// found: 3
	// delivered: [1 2 3]
}

type silent struct{}

func (silent) Handle(error) {}
