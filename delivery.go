package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
)

// delivery is the goroutine that owns the head of the queue and makes every
// call of Export, ForceFlush and Shutdown to the inner exporter, so that there
// are never two at once. It takes the oldest collection, sends its batches one
// after the other, each until it has ended, and only then takes the next: that
// keeps the points of every series in order.
//
// It is started by startDelivery and ends by itself after Shutdown: when the
// queue has been drained, or at the next opportunity after stop was called.
type delivery struct {
	inner  metric.Exporter
	queue  queue.Queue
	config *config
	drops  *drops

	flushes *flushes             // the calls of ForceFlush and Shutdown under way
	closing chan context.Context // capacity 1: the context of the first Shutdown
	retries atomic.Uint64

	ctx  context.Context // ends when delivery must stop, with the reason as its cause
	stop context.CancelCauseFunc

	done     chan struct{} // closed when the inner exporter has been shut down
	closeErr error         // of that; read after done

	// Owned by the goroutine.
	scratch batch.Buffer        // what the inner exporter gets
	unknown map[string]struct{} // unknown kinds of aggregation that have been reported
}

// startDelivery starts the goroutine.
func startDelivery(inner metric.Exporter, q queue.Queue, c *config, d *drops) *delivery {
	dl := &delivery{
		inner:   inner,
		queue:   q,
		config:  c,
		drops:   d,
		flushes: newFlushes(),
		closing: make(chan context.Context, 1),
		done:    make(chan struct{}),
		unknown: make(map[string]struct{}),
	}
	dl.ctx, dl.stop = context.WithCancelCause(context.Background())
	go dl.run()
	return dl
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
		d.flushInner()
		entry, err := d.queue.Take(d.ctx, nil)
		switch {
		case err == nil:
			trouble.Reset()
			d.deliver(entry)
		case errors.Is(err, queue.ErrClosed):
			return
		case errors.Is(err, queue.ErrEmpty):
			d.idle(nil)
		case d.ctx.Err() == nil:
			d.report(fmt.Errorf("asyncmetric: taking from the queue: %w", err))
			timer := time.NewTimer(trouble.NextBackOff())
			d.idle(timer.C)
			timer.Stop()
		}
	}
}

// idle waits until there may be something to do, or until timeout.
func (d *delivery) idle(timeout <-chan time.Time) {
	select {
	case <-d.queue.Ready():
	case <-timeout:
	case <-d.flushes.wake:
	case <-d.ctx.Done():
	}
}

// awaitShutdown waits for the context of Shutdown. There is nothing to wait
// for, unless the queue was closed by someone else.
func (d *delivery) awaitShutdown() context.Context {
	for {
		select {
		case ctx := <-d.closing:
			return ctx
		case <-d.flushes.wake:
			d.flushInner()
		}
	}
}

// close ends the queue, which drops what is left unless it is durable, and the
// inner exporter. A flush that takes long leaves some time for the rest.
func (d *delivery) close(ctx context.Context) error {
	err := d.queue.Close()
	if ctx.Err() == nil {
		most, cancel := context.WithTimeout(ctx, mostOf(ctx))
		err = errors.Join(err, d.call(most, "ForceFlush", d.inner.ForceFlush))
		cancel()
	}
	return errors.Join(err, d.call(ctx, "Shutdown", d.inner.Shutdown))
}
