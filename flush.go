package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/sdk/metric"
)

// ForceFlush returns when everything that Export accepted before the call has
// been delivered or dropped, and then has flushed the inner exporter. It does
// not wait for what is exported later. A batch that waits to be tried again is
// tried at once.
//
// It returns, joined, the errors of the batches that it waited for and that of
// the inner exporter. When ctx ends first, it returns an error that wraps that
// of ctx and says how much is still queued; nothing is lost by it. Without a
// deadline in ctx, the one of [WithDrainTimeout] applies. After Shutdown it
// returns metric.ErrExporterShutdown.
func (e *Exporter) ForceFlush(ctx context.Context) error {
	if e.isDown.Load() {
		return metric.ErrExporterShutdown
	}
	ctx, cancel := e.withDrainTimeout(ctx)
	defer cancel()
	if ctx.Err() != nil {
		return e.flushError(ctx.Err())
	}

	f := &flush{ctx: ctx, flushed: make(chan error, 1)}
	fs := e.delivery.flushes
	fs.begin(f)
	defer fs.end(f)
	last := e.queue.Last()
	f.position.Store(last)

	err := e.queue.Wait(ctx, last)
	if err != nil {
		err = e.flushError(err)
	} else {
		f.passed.Store(true)
		fs.signal()
		err = e.awaitInner(f)
	}
	return errors.Join(fs.result(f), err)
}

// awaitInner waits until the inner exporter has been flushed for f.
func (e *Exporter) awaitInner(f *flush) error {
	var err error
	select {
	case err = <-f.flushed:
	case <-e.delivery.done:
		select {
		case err = <-f.flushed:
		default:
			return metric.ErrExporterShutdown
		}
	case <-f.ctx.Done():
		return e.flushError(f.ctx.Err())
	}
	if e.drops.shutdown.Load() > 0 {
		err = errors.Join(err, metric.ErrExporterShutdown) // what was waited for may be among it
	}
	return err
}

func (e *Exporter) flushError(err error) error {
	return fmt.Errorf("asyncmetric: flush ended with %d data points still queued: %w", e.queue.Stats().Queued, err)
}

// maxFlushErrors is how many errors one flush keeps; of more it keeps the
// number.
const maxFlushErrors = 16

// A flush is a call of ForceFlush or Shutdown that waits for collections to
// end. While it is under way, the delivery goroutine hurries for it and gives
// it the errors of what it waits for.
type flush struct {
	ctx     context.Context
	flushed chan error // capacity 1: the result of flushing the inner exporter; nil if that is not wanted

	position atomic.Uint64 // of the last collection that it waits for
	passed   atomic.Bool   // all of those have ended

	// Owned by the delivery goroutine.
	served  bool // the inner exporter has been flushed for it
	hurried bool // it has cut a back-off short

	// Protected by the lock of flushes.
	errs []error
	more int // errors beyond maxFlushErrors
}

// flushes are the flushes under way.
type flushes struct {
	wake chan struct{} // capacity 1: tells delivery of one that began or passed

	mu     sync.Mutex
	active []*flush
}

func newFlushes() *flushes { return &flushes{wake: make(chan struct{}, 1)} }

// begin adds a flush that waits for everything until it gets a position. It
// begins before the position of the newest collection is read, so that no
// error between the two is missed.
func (fs *flushes) begin(f *flush) {
	f.position.Store(math.MaxUint64)
	fs.mu.Lock()
	fs.active = append(fs.active, f)
	fs.mu.Unlock()
	fs.signal()
}

func (fs *flushes) end(f *flush) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.active = slices.DeleteFunc(fs.active, func(other *flush) bool { return other == f })
}

func (fs *flushes) signal() {
	select {
	case fs.wake <- struct{}{}:
	default: // the signal that is there already says the same
	}
}

// list returns the flushes under way.
func (fs *flushes) list() []*flush {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.Clone(fs.active)
}

// failed gives err to the flushes that wait for the collection at position.
func (fs *flushes) failed(position uint64, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.active {
		switch {
		case f.position.Load() < position:
		case len(f.errs) < maxFlushErrors:
			f.errs = append(f.errs, err)
		default:
			f.more++
		}
	}
}

// result returns the errors of the batches that f waited for.
func (fs *flushes) result(f *flush) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	errs := slices.Clone(f.errs)
	if f.more > 0 {
		errs = append(errs, fmt.Errorf("asyncmetric: and %d further errors", f.more))
	}
	return errors.Join(errs...)
}

// hurry reports whether a flush waits for the collection at position that has
// not cut a back-off short yet, and lets it.
func (d *delivery) hurry(position uint64) bool {
	hurry := false
	for _, f := range d.flushes.list() {
		if f.position.Load() >= position && !f.hurried {
			f.hurried, hurry = true, true
		}
	}
	return hurry
}

// flushInner flushes the inner exporter for the flushes that wait for nothing
// else. They may not have noticed yet: asking the queue here, and not only
// waiting until they have, keeps the next collection from coming in between.
func (d *delivery) flushInner() {
	for _, f := range d.flushes.list() {
		if f.served || f.flushed == nil || f.ctx.Err() != nil || d.ctx.Err() != nil {
			continue
		}
		if f.passed.Load() || d.queue.Wait(endedContext, f.position.Load()) == nil {
			f.served = true
			f.flushed <- d.flushFor(f.ctx)
		}
	}
}

// flushFor flushes the inner exporter, until ctx ends or delivery is stopped.
func (d *delivery) flushFor(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.ctx, func() { cancel(context.Cause(d.ctx)) })()
	return d.call(ctx, "ForceFlush", d.inner.ForceFlush)
}

// endedContext makes Wait answer at once.
var endedContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
