package measure

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
)

// A Plan is how much is measured.
type Plan struct {
	// Repetitions is how often each measurement is made.
	Repetitions int
	// Points is how many data points a collection has.
	Points int

	// HeldCollections are made in each repetition, with HeldPause between them, for the backend
	// takes Latency.
	HeldCollections int
	HeldPause       time.Duration
	Latency         time.Duration

	// Throughput is how many collections go through a queue.
	Throughput int
	// Waiting is how many collections wait, in memory or on disk.
	Waiting int

	// Minute is how long a minute of an outage takes.
	Minute time.Duration

	// Ordered is how many collections go to Prometheus.
	Ordered int
}

// Full is the plan of the report.
func Full() Plan {
	return Plan{
		Repetitions:     5,
		Points:          3000,
		HeldCollections: 200, // of five repetitions, enough for a 99th percentile
		HeldPause:       10 * time.Millisecond,
		Latency:         5 * time.Millisecond,
		Throughput:      200,
		Waiting:         50,
		Minute:          time.Second,
		Ordered:         40,
	}
}

// Quick is a plan that shows no more than that everything works.
func Quick() Plan {
	return Plan{
		Repetitions:     1,
		Points:          300,
		HeldCollections: 5,
		HeldPause:       5 * time.Millisecond,
		Latency:         time.Millisecond,
		Throughput:      20,
		Waiting:         5,
		Minute:          60 * time.Millisecond,
		Ordered:         8,
	}
}

// A Measurement makes one table.
type Measurement struct {
	Name string
	Run  func(context.Context) (*Table, error)
}

// Measurements returns all of them in the order of the report.
func (p Plan) Measurements() []Measurement {
	return []Measurement{
		{"time the reader is held", p.Held},
		{"throughput", p.ThroughQueue},
		{"heap", p.Heap},
		{"outages", p.Outages},
		{"order", p.Order},
		{"disk", p.Disk},
	}
}

// rotate calls measure for each rival and repetition. Each repetition begins
// with another rival, and none has to collect the garbage of the one before it.
func (p Plan) rotate(rivals []rival.Rival, measure func(rival.Rival) error) error {
	for i := range p.Repetitions {
		at := i % len(rivals)
		for _, r := range slices.Concat(rivals[at:], rivals[:at]) {
			runtime.GC()
			if err := measure(r); err != nil {
				return fmt.Errorf("%s: %w", r.Name, err)
			}
		}
	}
	return nil
}

// withFolder calls f with a new folder that is removed afterwards.
func withFolder(f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "peerbench")
	if err != nil {
		return fmt.Errorf("folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return f(dir)
}

// emptyTable returns one with a row for each rival, in that order.
func emptyTable(id, base string, columns []Column, rivals []rival.Rival) *Table {
	t := &Table{ID: id, Base: base, Columns: columns}
	for _, r := range rivals {
		t.add(r.Name)
	}
	return t
}
