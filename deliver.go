package asyncmetric

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/contain"
	"github.com/asyncmetric/asyncmetric/queue"
)

// deliverNext takes what is next from the queue and delivers it. A panic of the
// queue is an error, and what was taken waits again.
func (w *worker) deliverNext() (err error) {
	defer w.abandon()
	defer contain.Recover("delivery", &err)
	w.flushInner() // Take may block
	entry, err := w.queue.Take(w.ctx, queue.Limit{})
	switch {
	case err == queue.ErrEmpty, err == queue.ErrClosed:
		w.flushes.settled() // an earlier error of the queue is past
		return err
	case err != nil:
		return fmt.Errorf("taking from the queue: %w", err)
	}
	w.flushes.settled()
	w.inflight.add(entry)
	w.flushInner() // a flush that does not wait for this entry must not have to
	w.gather()
	if err := w.send(); err != nil {
		return err
	}
	return w.settle()
}

// gather adds, with merging, the entries behind the one that was taken: until
// the batch is full, the linger is over, or a flush waits for what has been
// taken. An error of the queue comes again with the next Take.
func (w *worker) gather() {
	f := &w.inflight
	if !w.config.merging {
		return
	}
	most, _ := f.batchLimit()
	first := f.entries[0]
	limit := queue.Limit{Resource: cmp.Or(first.Collection().Resource, resource.Empty())}
	over := time.Now().Add(w.config.linger)
	for f.points < most {
		changed := w.flushes.untilChanged()
		lingers := w.flushes.newest(first.Position()) == 0
		limit.MaxPoints = most - f.points
		// What has been taken must not wait long for a slow disk.
		entry, err := w.takeMore(limit, later(over, time.Now().Add(takeTimeout)), changed)
		left := time.Until(over)
		switch {
		case err == nil:
			f.add(entry)
		case err != queue.ErrEmpty || !lingers || left <= 0 || w.ctx.Err() != nil:
			return
		default:
			timer := time.NewTimer(left)
			w.idle(changed, timer.C)
			timer.Stop()
		}
	}
}

// takeMore takes an entry within a time, or until a flush begins.
func (w *worker) takeMore(limit queue.Limit, until time.Time, changed <-chan struct{}) (queue.Entry, error) {
	ctx, cancel := context.WithDeadline(w.ctx, until)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	})
	defer watching.Wait()
	defer cancel()
	return w.queue.Take(ctx, limit)
}

// takeTimeout is how long taking one more entry for a batch may take where
// nothing lingers.
const takeTimeout = 100 * time.Millisecond

// send has what is in flight sent, by as many senders as it has batches for. After
// a trial it settles what has ended, because a trial may put more in flight.
func (w *worker) send() error {
	f := &w.inflight
	for _, entry := range f.entries {
		w.reportUnknown(entry.Collection())
	}
	f.divide()
	for n := f.parallel(); n > 0 && w.ctx.Err() == nil; n = f.parallel() {
		if f.isOnTrial() {
			w.putToTheTest()
			if n := f.endedFirst(); n > 0 {
				if err := w.settleFirst(n); err != nil {
					return err
				}
			}
			continue
		}
		senders := w.choose(n)
		f.begin(len(senders))
		_ = each(senders, func(s *sender) error {
			s.work(f)
			s.awaitPeers(f)
			return nil
		})
	}
	return nil
}

// choose returns the senders for a number of batches: those that have failed
// least, and none that rests, unless all do.
func (w *worker) choose(batches int) []*sender {
	senders := slices.DeleteFunc(slices.Clone(w.senders), func(s *sender) bool { return s.health.isResting() })
	if len(senders) == 0 {
		senders = slices.Clone(w.senders)
	}
	slices.SortStableFunc(senders, func(a, b *sender) int { return a.health.compare(&b.health) })
	well := 0
	for well < len(senders) && !senders[well].health.isFailing() {
		well++
	}
	if well > 0 {
		senders = senders[:min(well+1, len(senders))] // one at a time is put to the test
	}
	return senders[:min(batches, len(senders))]
}

// settle ends the entries in flight. If delivery was stopped, a durable queue gets
// the entries back, and any other drops what has not been exported.
func (w *worker) settle() error {
	f := &w.inflight
	if left := f.left(); left > 0 {
		if w.ctx.Err() == nil {
			return fmt.Errorf("a collection of the queue has %s less than it says", count(left)) // abandon returns it
		}
		if w.durable {
			return nil // likewise
		}
		f.drop(Drop{Points: left, Reason: ReasonShutdown, Err: context.Cause(w.ctx), Position: f.entries[0].Position()})
	}
	return w.settleFirst(len(f.entries))
}

// settleFirst ends the first n entries in flight, then reports what was dropped of
// them, so that the hook finds it counted.
func (w *worker) settleFirst(n int) error {
	if w.durable {
		w.deadLetter.await(w.ctx) // a crash from now on must not cost it
	}
	e := w.inflight.first(n)
	w.observe(e)
	for entry, outcome := range e.outcomes {
		err := entry.Settle(outcome)
		if errors.Is(err, contain.ErrPanic) || errors.Is(err, contain.ErrGoexit) {
			return err // abandon returns it: it may not be settled
		}
		if err != nil {
			w.reports.reportLimited("settling a collection", err)
		}
	}
	drops := slices.Clone(e.drops)
	w.inflight.forget(e)
	w.flushes.settled()
	for _, d := range drops {
		w.reports.dropped(d)
	}
	w.reports.settled()
	return nil
}

// observe records what came of what is in flight.
func (w *worker) observe(e *ended) {
	w.metrics.Exported(e.exported, errorTypeOf(nil))
	for entry, outcome := range e.outcomes {
		if outcome.Exported > 0 {
			w.metrics.Delivered(ageOf(entry.Accepted()))
		}
	}
	for _, d := range e.drops {
		errorType := semconv.ErrorTypeKey.String(string(d.Reason))
		if d.Reason == ReasonPermanent || d.Reason == ReasonElapsed {
			errorType = errorTypeOf(d.Err)
		}
		w.metrics.Exported(d.Points, errorType)
	}
}

// abandon returns to the queue what is still in flight.
func (w *worker) abandon() {
	f := &w.inflight
	if len(f.entries) == 0 {
		return
	}
	defer f.reset()
	defer w.flushes.settled()
	f.tally.add(-f.left(), 0)
	for _, entry := range f.entries {
		if err := entry.Return(); err != nil {
			w.reports.reportLimited("returning a collection to the queue", err)
		}
	}
}

// reportUnknown reports data that cannot be copied or split, once for each
// kind.
func (w *worker) reportUnknown(rm *metricdata.ResourceMetrics) {
	m := batch.Unknown(rm)
	if m == nil {
		return
	}
	kind := fmt.Sprintf("%T", m.Data)
	if _, ok := w.unknown[kind]; ok {
		return
	}
	w.unknown[kind] = struct{}{}
	w.reports.report(fmt.Errorf("metric %q has data of the unknown kind %s: it is passed on without a copy", m.Name, kind))
}
