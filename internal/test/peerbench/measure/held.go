package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/backend"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/workload"
)

// NameConversion is the row of the part that making pdata of a collection has in
// what the exporterhelper takes.
const NameConversion = "(conversion to pdata, in exporterhelper above)"

// Held measures how long Export keeps the goroutine of the reader, with a
// backend on loopback that takes some time for a request.
func (p Plan) Held(ctx context.Context) (*Table, error) {
	rivals := rival.All()
	t := emptyTable("held", rival.NameAsync, []Column{
		{Name: "median", Unit: Seconds, Compared: true},
		{Name: "p99", Unit: Seconds, Compared: true},
	}, rivals)
	t.addBelow(rival.NameHelper, NameConversion)
	took := make(map[string][]Sample) // by row, of each repetition
	err := p.rotate(rivals, func(r rival.Rival) error {
		return withFolder(func(dir string) error {
			held, conversion, err := p.heldBy(ctx, r, dir)
			took[r.Name] = append(took[r.Name], held)
			if r.Name == rival.NameHelper {
				took[NameConversion] = append(took[NameConversion], conversion)
			}
			return err
		})
	})
	for i := range t.Rows {
		t.Rows[i].pool(took[t.Rows[i].Rival])
	}
	return t, err
}

// pool fills a row of median and 99th percentile. Both are those of all
// repetitions together, for one has too few collections for a percentile; the
// spread is that of the medians.
func (r *Row) pool(repetitions []Sample) {
	var medians Sample
	for _, s := range repetitions {
		medians = append(medians, s.Median())
	}
	all := slices.Concat(repetitions...)
	p99 := all.Quantile(0.99)
	r.Cells = []Sample{medians, {p99}}
	r.Pooled = []float64{all.Median(), p99}
}

func (p Plan) heldBy(ctx context.Context, r rival.Rival, dir string) (held, conversion Sample, err error) {
	b, err := backend.Open(backend.Options{Latency: func() time.Duration { return p.Latency }})
	if err != nil {
		return nil, nil, err
	}
	target := rival.NewHTTP(b.Endpoint(), sdkmetric.DefaultTemporalitySelector, 1)
	defer target.Close()
	e, err := r.Open(ctx, rival.Settings{
		Target: target, Collections: p.HeldCollections, Points: p.Points, Dir: dir, Sync: true,
		OnConvert: func(d time.Duration) { conversion = append(conversion, d.Seconds()) },
	})
	if err != nil {
		return nil, nil, errors.Join(err, b.Close())
	}
	held, err = p.exports(ctx, e, p.HeldCollections, p.HeldPause)
	conversion = conversion[max(0, len(conversion)-len(held)):] // those of the same collections
	return held, conversion, errors.Join(err, e.Shutdown(ctx), b.Close())
}

// exports collects n times and returns how long Export took each time, after two
// collections that do not count.
func (p Plan) exports(ctx context.Context, e sdkmetric.Exporter, n int, pause time.Duration) (Sample, error) {
	w, err := p.workload()
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Shutdown(ctx) }()
	const warmUp = 2
	return timed(ctx, w, n+warmUp, warmUp, pause, e.Export)
}

// workload returns the application of which all but outages are measured.
func (p Plan) workload() (*workload.Workload, error) {
	return workload.New(p.Points, workload.Mixed, sdkmetric.DefaultTemporalitySelector)
}

// timed collects n times and returns how long f took each time but for the first.
func timed(
	ctx context.Context, w *workload.Workload, n, leaveOut int, pause time.Duration,
	f func(context.Context, *resourceMetrics) error,
) (Sample, error) {
	var took Sample
	for i := range n {
		rm, err := w.Collect(ctx)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if err := f(ctx, rm); err != nil {
			return nil, fmt.Errorf("collection %d: %w", i, err)
		}
		if i >= leaveOut {
			took = append(took, time.Since(began).Seconds())
		}
		time.Sleep(pause)
	}
	return took, nil
}
