package main

import (
	"context"
	"slices"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// stopwatch is what each reader exports to, bare and wrapped alike. It measures
// how long the reader is held: a PeriodicReader collects and exports on one
// goroutine, so nothing is collected while Export runs.
type stopwatch struct {
	sdkmetric.Exporter

	mu      sync.Mutex
	started time.Time // of the export under way; zero if there is none
	held    []time.Duration
	failed  int // exports that returned an error
	lost    int // data points in them
}

// Export passes the collection on and takes the time. It leaves out empty
// collections, which the reader makes while the application records nothing:
// exporting nothing is quick and would flatter the median.
func (s *stopwatch) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	points := batch.Points(rm)
	if points == 0 {
		return s.Exporter.Export(ctx, rm)
	}
	s.start()
	err := s.Exporter.Export(ctx, rm)
	s.stop(points, err)
	return err
}

func (s *stopwatch) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = time.Now()
}

func (s *stopwatch) stop(points int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, time.Since(s.started))
	s.started = time.Time{}
	if err != nil {
		s.failed++
		s.lost += points
	}
}

// readings is what the stopwatch says at one moment.
type readings struct {
	held   []time.Duration // of each export, in order, with the one under way
	ended  int             // exports that have returned
	failed int             // of these, with an error
	lost   int             // data points in those
}

func (s *stopwatch) read() readings {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := readings{held: slices.Clone(s.held), ended: len(s.held), failed: s.failed, lost: s.lost}
	if !s.started.IsZero() {
		r.held = append(r.held, time.Since(s.started))
	}
	return r
}

// longest returns the longest of the times, 0 if there are none.
func longest(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return slices.Max(times)
}

// median returns the median of the times, 0 if there are none.
func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}
