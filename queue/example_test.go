package queue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/queue"
)

// requests returns a collection of one data point.
func requests(n int64) *metricdata.ResourceMetrics {
	sum := metricdata.Sum[int64]{DataPoints: []metricdata.DataPoint[int64]{{Value: n}}}
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
		Metrics: []metricdata.Metrics{{Name: "requests", Data: sum}},
	}}}
}

// printQueue exports what waits in q.
func printQueue(ctx context.Context, q queue.Queue) {
	for {
		entry, err := q.Take(ctx, queue.Limit{})
		if err != nil {
			fmt.Println(err)
			return
		}
		sum := entry.Collection().ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64])
		fmt.Println("exported:", sum.DataPoints[0].Value)
		if err := entry.Settle(queue.Outcome{Exported: entry.Points()}); err != nil {
			fmt.Println(err)
		}
	}
}

func ExampleNewMemory() {
	ctx := context.Background()
	q, err := queue.NewMemory(queue.Bound{Points: 1000}, queue.DropOldest)
	if err != nil {
		fmt.Println(err)
		return
	}
	for n := range int64(3) {
		if err := q.Put(ctx, requests(n)); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("queued:", q.Stats().Queued)
	q.Seal() // nothing else will come
	printQueue(ctx, q)
	// Output:
	// queued: 3
	// exported: 0
	// exported: 1
	// exported: 2
	// queue is closed
}

func ExampleNewMemory_dropOldest() {
	ctx := context.Background()
	q, _ := queue.NewMemory(queue.Bound{Points: 2}, queue.DropOldest)
	err := q.Start(queue.Observer{
		Dropped: func(d queue.Drop) { fmt.Printf("dropped %d data point: %s\n", d.Points, d.Reason) },
		Failed:  func(err error) { fmt.Println(err) },
	})
	if err != nil {
		fmt.Println(err)
	}
	for n := range int64(3) {
		fmt.Println(q.Put(ctx, requests(n)))
	}
	printQueue(ctx, q)
	// Output:
	// <nil>
	// <nil>
	// dropped 1 data point: overflow
	// <nil>
	// exported: 1
	// exported: 2
	// queue is empty
}

func ExampleNewMemory_dropNewest() {
	ctx := context.Background()
	q, _ := queue.NewMemory(queue.Bound{Points: 2}, queue.DropNewest)
	for n := range int64(3) {
		fmt.Println(q.Put(ctx, requests(n)))
	}
	printQueue(ctx, q)
	// Output:
	// <nil>
	// <nil>
	// queue is full
	// exported: 0
	// exported: 1
	// queue is empty
}

func ExampleNewMemory_block() {
	ctx := context.Background()
	q, _ := queue.NewMemory(queue.Bound{Points: 1}, queue.Block)
	fmt.Println(q.Put(ctx, requests(0)))

	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	err := q.Put(short, requests(1)) // waits for room
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	printQueue(ctx, q)
	// Output:
	// <nil>
	// true
	// exported: 0
	// queue is empty
}
