package asyncmetric

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/sdk/metric"
	"golang.org/x/sync/errgroup"

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
	closeErr error         // how that failed; read after done

	// Owned by the goroutine.
	inflight inflight
	delays   *backoff.ExponentialBackOff // after an error of the queue
	trouble  reminder                    // while it fails
	unknown  map[string]struct{}         // unknown kinds of aggregation that have been reported
	bad      map[uint64]time.Time        // series that were found to be bad, and until when that is remembered
}

// startWorker starts the goroutine.
func startWorker(exporters []metric.Exporter, q queue.Queue, d *delivery, t *tally) *worker {
	w := &worker{
		delivery: d,
		queue:    q,
		senders:  make([]*sender, len(exporters)),
		done:     make(chan struct{}),
		inflight: inflight{tally: t, sizes: sizes{most: d.config.maxExportBatchSize}},
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
			w.trouble.reset()
		case err == queue.ErrEmpty:
			w.delays.Reset()
			w.trouble.reset()
			w.idle(changed, nil)
		case err == queue.ErrClosed:
			isDrained = true
		case w.ctx.Err() == nil:
			w.backOff(err)
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

// idle waits until there may be something to do.
func (w *worker) idle(changed <-chan struct{}, timeout <-chan time.Time) {
	select {
	case <-w.queue.Ready():
	case <-changed:
	case <-timeout:
	case <-w.ctx.Done():
	}
}

// backOff waits before a queue that failed with err is asked again. A Shutdown
// does not wait for that.
func (w *worker) backOff(err error) {
	w.flushes.failed(0, err) // concerns whatever a flush waits for
	if w.trouble.take(time.Now()) {
		w.reports.report(err)
	}
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
				w.delays.Reset()
				return
			}
		case <-w.ctx.Done():
			return
		}
	}
}

// flushInner flushes the exporters, once for all flushes that wait for nothing
// else. The worker asks the queue itself, so it takes nothing between the answer
// and the flush.
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
		case <-w.queue.Ready(): // the last drop may have been reported
		}
	}
}

// close ends the queue, which drops what is left unless it is durable, and then
// the exporters.
func (w *worker) close(ctx context.Context) error {
	err := w.queue.Close()
	return errors.Join(err, each(w.senders, func(s *sender) error { return s.close(ctx) }))
}
