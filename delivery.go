package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"golang.org/x/sync/errgroup"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
)

// delivery is the goroutine that owns the head of the queue. It takes the
// oldest collection, or with merging several, has the senders deliver it, and
// only then takes the next: that keeps the points of every series in order.
//
// Every call of Export, ForceFlush and Shutdown to an exporter is made by its
// sender, on this goroutine or on one that this goroutine waits for, so that
// there are never two at once on one exporter.
//
// It is started by startDelivery and ends by itself after Shutdown: when the
// queue has been drained, or at the next opportunity after stop was called.
type delivery struct {
	senders   []*sender // one for each exporter, at least one
	queue     queue.Queue
	config    *config
	drops     *drops
	telemetry *telemetry
	pacer     pacer

	flushes *flushes      // the calls of ForceFlush and Shutdown under way
	closing chan struct{} // closed when Shutdown has set closeCtx, before anything is stopped
	retries atomic.Uint64

	closeCtx context.Context // of the first Shutdown; read after closing

	ctx  context.Context // ends when delivery must stop, with the reason as its cause
	stop context.CancelCauseFunc

	done     chan struct{} // closed when the exporters have been shut down
	closeErr error         // of that; read after done

	// Owned by the goroutine.
	shipment shipment
	unknown  map[string]struct{} // unknown kinds of aggregation that have been reported
}

// startDelivery starts the goroutine.
func startDelivery(inner metric.Exporter, q queue.Queue, c *config, drops *drops, t *telemetry) *delivery {
	d := &delivery{
		queue:     q,
		config:    c,
		drops:     drops,
		telemetry: t,
		pacer:     pacer{interval: c.minInterval},
		closing:   make(chan struct{}),
		done:      make(chan struct{}),
		unknown:   make(map[string]struct{}),
	}
	d.ctx, d.stop = context.WithCancelCause(context.Background())
	d.flushes = newFlushes(d.ctx)
	d.senders = append(d.senders, &sender{delivery: d, exporter: inner})
	for _, replica := range c.replicas {
		d.senders = append(d.senders, &sender{delivery: d, exporter: replica})
	}
	go d.run()
	return d
}

func (d *delivery) run() {
	defer close(d.done)
	defer d.stop(nil)
	d.drain()
	d.closeErr = d.close(d.awaitShutdown())
}

// drain delivers what the queue holds and will hold, until it is closed or
// delivery is stopped.
func (d *delivery) drain() {
	trouble := d.config.retry.backOff()
	for d.ctx.Err() == nil {
		next := d.flushes.untilNext()
		d.flushInner() // taking may wait
		entry, err := d.queue.Take(d.ctx, nil)
		switch {
		case err == nil:
			trouble.Reset()
			// Whichever flush begins from here on waits for this collection. One
			// that began before and does not must not have to.
			d.flushInner()
			d.deliver(d.gather(entry))
		case errors.Is(err, queue.ErrClosed):
			return
		case errors.Is(err, queue.ErrEmpty):
			d.idle(next, nil)
		case d.ctx.Err() == nil:
			d.report(fmt.Errorf("asyncmetric: taking from the queue: %w", err))
			timer := time.NewTimer(trouble.NextBackOff())
			d.idle(next, timer.C)
			timer.Stop()
		}
	}
}

// idle waits until there may be something to do: next is that of the flushes.
func (d *delivery) idle(next context.Context, timeout <-chan time.Time) {
	select {
	case <-d.queue.Ready():
	case <-next.Done():
	case <-timeout:
	}
}

// deliver has a shipment sent and ends it. Its loads go out in parallel, unless
// one could so overtake another one with an earlier point of the same series.
func (d *delivery) deliver(s *shipment) {
	for _, entry := range s.entries {
		d.reportUnknown(entry.Collection())
	}
	s.inTurn = len(s.loads) == 1 || len(d.senders) > 1 && batch.HasRepeatedSeries(s.entries[0].Collection())
	s.working = len(d.senders)
	s.worked = make(chan struct{})
	_ = each(d.senders, func(sender *sender) error {
		sender.work(s)
		sender.standBy(s)
		return nil
	})
	d.end(s)
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
func (d *delivery) awaitShutdown() context.Context {
	for {
		next := d.flushes.untilNext()
		d.flushInner()
		select {
		case <-d.closing:
			return d.closeCtx
		case <-next.Done():
		}
	}
}

// close ends the queue, which drops what is left unless it is durable, and the
// exporters.
func (d *delivery) close(ctx context.Context) error {
	err := d.queue.Close()
	return errors.Join(err, each(d.senders, func(s *sender) error { return s.close(ctx) }))
}

// reportUnknown reports data that cannot be copied or split, once for each
// kind.
func (d *delivery) reportUnknown(rm *metricdata.ResourceMetrics) {
	m := batch.Unknown(rm)
	if m == nil {
		return
	}
	kind := fmt.Sprintf("%T", m.Data)
	if _, ok := d.unknown[kind]; ok {
		return
	}
	d.unknown[kind] = struct{}{}
	d.report(fmt.Errorf("asyncmetric: metric %q has data of the unknown kind %s: it is passed on without a copy",
		m.Name, kind))
}

func (d *delivery) report(err error) { d.config.errorHandler.Handle(err) }
