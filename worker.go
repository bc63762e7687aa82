package asyncmetric

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"golang.org/x/sync/errgroup"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/contain"
	"github.com/asyncmetric/asyncmetric/queue"
)

// A worker is the goroutine that owns the head of the queue. It takes the oldest
// collection, or with merging several, has the senders deliver it, and only then
// takes the next: that keeps the points of every series in order.
//
// Every call of Export, ForceFlush and Shutdown to an exporter is made by its
// sender, on this goroutine or on one that this goroutine waits for, so that
// there are never two at once on one exporter.
//
// It is started by startWorker and ends after Shutdown: when the queue has been
// drained, or at the next opportunity after stop was called.
type worker struct {
	*delivery
	queue   queue.Queue
	senders []*sender // one for each exporter, at least one

	done     chan struct{} // closed when the exporters have been shut down
	closeErr error         // of that; read after done

	// Owned by the goroutine.
	inflight inflight
	delays   *backoff.ExponentialBackOff // after an error of the queue
	unknown  map[string]struct{}         // unknown kinds of aggregation that have been reported
}

// startWorker starts the goroutine.
func startWorker(exporters []metric.Exporter, q queue.Queue, d *delivery, t *tally) *worker {
	w := &worker{
		delivery: d,
		queue:    q,
		senders:  make([]*sender, len(exporters)),
		done:     make(chan struct{}),
		inflight: inflight{tally: t},
		delays:   d.config.retry.backOff(),
		unknown:  make(map[string]struct{}),
	}
	for i, exporter := range exporters {
		w.senders[i] = &sender{delivery: d, exporter: exporter, peers: w.senders}
	}
	go w.run()
	return w
}

func (w *worker) run() {
	defer close(w.done)
	defer w.stop(nil)
	isDrained := false
	for !isDrained && w.ctx.Err() == nil {
		changed := w.flushes.untilChanged()
		switch err := w.deliverNext(); {
		case err == nil:
			w.delays.Reset()
		case errors.Is(err, queue.ErrEmpty):
			w.idle(changed, nil)
		case errors.Is(err, queue.ErrClosed):
			isDrained = true
		case w.ctx.Err() == nil:
			w.reports.report(err)
			w.backOff()
		}
	}
	w.closeErr = w.close(w.awaitShutdown())
}

func (w *worker) hasEnded() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

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

// idle waits until there may be something to do.
func (w *worker) idle(changed <-chan struct{}, timeout <-chan time.Time) {
	select {
	case <-w.queue.Ready():
	case <-changed:
	case <-timeout:
	case <-w.ctx.Done():
	}
}

// backOff waits before the queue that failed is asked again, for which a Shutdown
// does not wait.
func (w *worker) backOff() {
	timer := time.NewTimer(w.delays.NextBackOff())
	defer timer.Stop()
	for {
		changed := w.flushes.untilChanged()
		w.flushInner()
		select {
		case <-timer.C:
			return
		case <-changed:
			if w.isClosing() {
				return
			}
		case <-w.ctx.Done():
			return
		}
	}
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
			w.reports.report(fmt.Errorf("settling a collection: %w", err))
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
			w.reports.report(fmt.Errorf("returning a collection to the queue: %w", err))
		}
	}
}

// flushInner flushes the exporters, once for all flushes that wait for nothing
// else. To ask the queue here keeps the next collection from coming in between.
func (w *worker) flushInner() {
	passed := w.flushes.passed(w.queue.Stats)
	if len(passed) == 0 || w.ctx.Err() != nil {
		return
	}
	ctx, cancel := contextOf(w.ctx, passed)
	defer cancel()
	err := each(w.senders, func(s *sender) error { return s.flush(ctx) })
	for _, f := range passed {
		f.isServed = true
		f.served <- err
	}
}

// each calls f for all senders in parallel, waits for all, and returns their
// errors joined.
func each(senders []*sender, f func(*sender) error) error {
	if len(senders) == 1 {
		return f(senders[0])
	}
	errs := make([]error, len(senders))
	var others errgroup.Group
	for i, s := range senders[1:] {
		others.Go(func() error {
			errs[1+i] = f(s)
			return nil // the group would keep the first error only
		})
	}
	errs[0] = f(senders[0])
	_ = others.Wait()
	return errors.Join(errs...)
}

// awaitShutdown waits for the context of Shutdown. There is nothing to wait
// for, unless the queue was closed by someone else.
func (w *worker) awaitShutdown() context.Context {
	for {
		changed := w.flushes.untilChanged()
		w.flushInner()
		select {
		case <-w.closing:
			return w.closeCtx
		case <-changed:
		}
	}
}

// close ends the queue, which drops what is left unless it is durable, and then
// the exporters.
func (w *worker) close(ctx context.Context) error {
	err := w.queue.Close()
	return errors.Join(err, each(w.senders, func(s *sender) error { return s.close(ctx) }))
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
