package measure

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
)

type resourceMetrics = metricdata.ResourceMetrics

// roomForThroughput is how many collections may wait: few, so that it is the
// slowest part that is measured and not the memory.
const roomForThroughput = 16

// ThroughQueue measures how many points a second pass, and what the process pays
// for each, when a producer is as fast as it can and delivery does nothing.
func (p Plan) ThroughQueue(ctx context.Context) (*Table, error) {
	rivals := []rival.Rival{rival.Async, rival.Helper, rival.HelperGiven, rival.HandWritten}
	t := emptyTable("throughput", rival.NameAsync, []Column{
		{Name: "points a second", Unit: PerSecond, Compared: true},
		{Name: "CPU a point", Unit: Nanosecond, Compared: true},
		{Name: "allocated a point", Unit: Bytes},
		{Name: "allocations a point", Unit: Count},
	}, rivals)
	w, err := p.workload()
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Shutdown(ctx) }()
	rm, err := w.Collect(ctx)
	if err != nil {
		return nil, err
	}
	err = p.rotate(rivals, func(r rival.Rival) error {
		values, err := p.through(ctx, r, rm)
		t.add(r.Name, values...)
		return err
	})
	return t, err
}

func (p Plan) through(ctx context.Context, r rival.Rival, rm *resourceMetrics) ([]float64, error) {
	sink := new(rival.Sink)
	s := rival.Settings{Target: sink, WhenFull: rival.Wait, Collections: roomForThroughput, Points: p.Points}
	e, err := r.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	const warmUp = 4
	if err := feed(ctx, e, sink, rm, warmUp, warmUp*p.Points); err != nil {
		return nil, errors.Join(err, e.Shutdown(ctx))
	}
	runtime.GC()
	before := readUsage()
	err = feed(ctx, e, sink, rm, p.Throughput, (warmUp+p.Throughput)*p.Points)
	used := readUsage().since(before)
	points := float64(p.Throughput * p.Points)
	return []float64{
		points / used.elapsed.Seconds(),
		float64(used.cpu.Nanoseconds()) / points,
		used.bytes / points,
		used.allocations / points,
	}, errors.Join(err, e.Shutdown(ctx))
}

// feed exports the collection n times and waits until so many points have
// arrived in all.
func feed(ctx context.Context, e sdkmetric.Exporter, sink *rival.Sink, rm *resourceMetrics, n, points int) error {
	for i := range n {
		if err := e.Export(ctx, rm); err != nil {
			return fmt.Errorf("collection %d: %w", i, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return sink.Await(ctx, points)
}
