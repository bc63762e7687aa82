package measure

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/backend"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/workload"
)

// A line is the way of the data from a reader, through a rival, to a backend of
// its own.
type line struct {
	reader  *sdkmetric.PeriodicReader
	watch   *stopwatch
	target  *rival.HTTP
	backend *backend.Backend
	counter *backend.Counter
}

// openLines returns a line for each rival, or those that were opened before an
// error.
func (p Plan) openLines(ctx context.Context, o Outage, rivals []rival.Rival) (lines []*line, err error) {
	for _, r := range rivals {
		l, err := p.openLine(ctx, o, r)
		if err != nil {
			return lines, fmt.Errorf("%s: %w", r.Name, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func (p Plan) openLine(ctx context.Context, o Outage, r rival.Rival) (*line, error) {
	counter := new(backend.Counter)
	b, err := backend.Open(backend.Options{Handler: counter})
	if err != nil {
		return nil, err
	}
	scale := int(time.Minute / p.Minute)
	target := rival.NewHTTP(b.Endpoint(), sdkmetric.DeltaTemporalitySelector, scale)
	e, err := r.Open(ctx, rival.Settings{
		Target: target, Collections: o.Room, Points: workload.ApplicationSeries, TimeScale: scale,
	})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	watch := &stopwatch{Exporter: e}
	reader := sdkmetric.NewPeriodicReader(watch,
		sdkmetric.WithInterval(p.Minute/collectionsPerMinute),
		sdkmetric.WithTimeout(p.Minute/2)) // the default is 30 s
	return &line{reader: reader, watch: watch, target: target, backend: b, counter: counter}, nil
}

// closeLines ends what the shutdown of the SDK does not.
func closeLines(lines []*line) error {
	return forEach(lines, func(l *line) error {
		l.target.Close()
		return l.backend.Close()
	})
}

// forEach calls f for all lines at once.
func forEach(lines []*line, f func(*line) error) error {
	errs := make([]error, len(lines))
	var all sync.WaitGroup
	for i, l := range lines {
		all.Go(func() { errs[i] = f(l) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// stopwatch measures how long a PeriodicReader is held: it collects and exports
// on one goroutine, so nothing is collected while Export runs.
type stopwatch struct {
	sdkmetric.Exporter

	mu   sync.Mutex
	most time.Duration
}

// Export implements [sdkmetric.Exporter].
func (s *stopwatch) Export(ctx context.Context, rm *resourceMetrics) error {
	began := time.Now()
	err := s.Exporter.Export(ctx, rm)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = max(s.most, time.Since(began))
	return err
}

func (s *stopwatch) longest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}
