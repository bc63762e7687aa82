package asyncmetric

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	w.flushInner() // to take may need time
	entry, err := w.queue.Take(w.ctx, queue.Limit{})
	if err != nil {
		return fmt.Errorf("taking from the queue: %w", err)
	}
	w.inflight.add(entry)
	// A flush that begins from here on waits for this collection. One that began
	// before and does not must not have to.
	w.flushInner()
	w.gather()
	w.send()
	w.settle()
	return nil
}

// gather adds, with merging, the entries behind the one that was taken: until
// the batch is full, the linger is over, or a flush waits for what has been
// taken. An error of the queue comes again with the next Take.
func (w *worker) gather() {
	f, most := &w.inflight, w.config.maxExportBatchSize
	if !w.config.merging {
		return
	}
	first := f.entries[0]
	limit := queue.Limit{Resource: cmp.Or(first.Collection().Resource, resource.Empty())}
	over := time.Now().Add(w.config.linger)
	for f.points < most {
		changed := w.flushes.untilChanged()
		lingers := w.flushes.newest(first.Position()) == 0
		limit.MaxPoints = most - f.points
		// What has been taken must not wait long for a slow disk.
		ctx, cancel := context.WithDeadline(w.ctx, later(over, time.Now().Add(takeTimeout)))
		entry, err := w.queue.Take(ctx, limit)
		cancel()
		left := time.Until(over)
		switch {
		case err == nil:
			f.add(entry)
		case !errors.Is(err, queue.ErrEmpty) || !lingers || left <= 0 || w.ctx.Err() != nil:
			return
		default:
			timer := time.NewTimer(left)
			w.idle(changed, timer.C)
			timer.Stop()
		}
	}
}

// takeTimeout is how long taking one more entry for a batch may take where
// nothing lingers.
const takeTimeout = 100 * time.Millisecond

// send has what is in flight sent, by as many senders as it has batches for.
func (w *worker) send() {
	f := &w.inflight
	for _, entry := range f.entries {
		w.reportUnknown(entry.Collection())
	}
	f.divide(w.config.maxExportBatchSize)
	for n := f.parallel(); n > 0 && w.ctx.Err() == nil; n = f.parallel() {
		senders := w.choose(n)
		f.begin(len(senders))
		_ = each(senders, func(s *sender) error {
			s.work(f)
			s.awaitPeers(f)
			return nil
		})
	}
}

// choose returns the senders for a number of batches: those that have failed
// least, and none that rests, unless all do.
func (w *worker) choose(batches int) []*sender {
	senders := slices.DeleteFunc(slices.Clone(w.senders), func(s *sender) bool { return s.health.isResting() })
	if len(senders) == 0 {
		senders = slices.Clone(w.senders)
	}
	slices.SortStableFunc(senders, func(a, b *sender) int { return cmp.Compare(a.health.count(), b.health.count()) })
	return senders[:min(batches, len(senders))]
}

// settle ends the entries in flight, then reports what was dropped, so that the
// hook finds it counted. What delivery was stopped in the middle of, a durable
// queue gets back whole, and any other loses.
func (w *worker) settle() {
	f := &w.inflight
	if left := f.left(); left > 0 {
		if w.durable {
			return // abandon returns it
		}
		f.drop(Drop{Points: left, Reason: ReasonShutdown, Err: context.Cause(w.ctx), Position: f.entries[0].Position()})
	}
	w.observe(f)
	for entry, outcome := range f.outcomes {
		if err := entry.Settle(outcome); err != nil {
			w.reports.reportOften("settling a collection", err)
		}
	}
	drops := slices.Clone(f.drops)
	f.reset()
	for _, d := range drops {
		w.reports.dropped(d)
	}
	w.reports.settled()
}

// observe records what came of what is in flight.
func (w *worker) observe(f *inflight) {
	w.metrics.Exported(f.exported, errorTypeOf(nil))
	for entry, outcome := range f.outcomes {
		if outcome.Exported > 0 {
			w.metrics.Delivered(ageOf(entry.Accepted()))
		}
	}
	for _, d := range f.drops {
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
	f.tally.add(-f.left(), 0)
	for _, entry := range f.entries {
		err := contain.Call("Return of the queue", entry.Return)
		if err != nil {
			w.reports.reportOften("returning a collection to the queue", err)
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
