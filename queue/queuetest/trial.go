package queuetest

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/queue"
)

// A trial lets a few sources use a queue, and the exporter take from it, in a
// random order. After each step it checks what must always hold. A failure is
// an error, so that the suite can be tested itself.
type trial struct {
	*rapid.T
	queue   queue.Queue
	ctx     context.Context
	sources []*source
	turn    int                           // of which source it is
	pending []*metricdata.ResourceMetrics // what is left of its collection
	*reference
	rival *dropOldest // gets the same; may be nil

	inFlight []flight
	stats    queue.Stats // after the last step
	accepted uint64
	dropped  uint64 // by Settle
	passed   uint64 // the newest position that has passed
	newest   uint64 // the highest position taken
	returned uint64 // the highest position given back
	turns    int    // how many entries have been taken for the first time
	settled  int    // the highest turn settled
	gaveBack bool   // the last step has given something back

	// gaps are the entries that were given back and have not been taken again.
	gaps []flight

	// excess is how much waited after the last step, in each unit: by what was
	// given back it may be more than the bound.
	excess map[string]int64
}

// A flight is an entry in flight.
type flight struct {
	queue.Entry
	*delivery
}

// run does up to n steps, and delivers all that is left.
func (tr *trial) run(n int, steps []step) error {
	if err := tr.queue.Start(queue.Observer{Dropped: func(queue.Drop) {}, Failed: func(error) {}}); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	for range rapid.IntRange(n/2, n).Draw(tr.T, "steps") {
		if err := tr.do(steps[rapid.IntRange(0, len(steps)-1).Draw(tr.T, "step")]); err != nil {
			return err
		}
	}
	if err := tr.do(deliverAll); err != nil {
		return err
	}
	return tr.checkOrder()
}

func (tr *trial) do(s step) error {
	if err := s.do(tr); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if err := tr.check(); err != nil {
		return fmt.Errorf("after: %s: %w", s.name, err)
	}
	return nil
}

// check checks what must hold after each step.
func (tr *trial) check() error {
	before := tr.stats
	tr.stats = tr.queue.Stats()
	if err := errors.Join(inconsistency(tr.stats), decrease(before, tr.stats)); err != nil {
		return err
	}
	if tr.stats.Accepted != tr.accepted {
		return fmt.Errorf("%d data points were put in: %+v", tr.accepted, tr.stats)
	}
	if err := tr.checkBounds(); err != nil {
		return err
	}
	tr.passed = tr.stats.Last
	if tr.stats.First > 0 {
		tr.passed = tr.stats.First - 1
	}
	for _, f := range tr.inFlight {
		if tr.passed >= f.oldest {
			return fmt.Errorf("position %d has passed, and data of it is in flight: %+v", f.oldest, tr.stats)
		}
	}
	return nil
}

// checkBounds checks that no more waits than may. A single entry may be larger
// than the bound. So may what was given back, until it has left: but then no Put
// adds to it.
func (tr *trial) checkBounds() error {
	info, waiting := tr.queue.Info(), tr.stats.Collections-len(tr.inFlight)
	for _, b := range []struct {
		unit      string
		used, max int64
	}{
		{"data points", int64(tr.stats.Queued - tr.stats.InFlight), int64(info.MaxPoints)},
		{"bytes", tr.stats.Bytes, info.MaxBytes},
	} {
		allowed := max(b.max, tr.excess[b.unit])
		if tr.gaveBack {
			allowed = max(allowed, b.used)
		}
		if b.max > 0 && b.used > allowed && waiting > 1 {
			return fmt.Errorf("%d %s wait, in %d entries, and the bound is %d", b.used, b.unit, waiting, b.max)
		}
		tr.excess[b.unit] = min(allowed, b.used)
	}
	tr.gaveBack = false
	return nil
}

// lost is how many data points the queue itself dropped.
func (tr *trial) lost() uint64 { return tr.stats.Dropped - tr.dropped }
