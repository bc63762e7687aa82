package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

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
	fs.begin(f, e.queue.Last)
	defer fs.end(f)
	err := e.queue.Wait(ctx, f.position)
	if err != nil {
		err = e.flushError(err)
	} else {
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
// end. While it is under way, the senders hurry for it, and it gets the errors
// of what it waits for.
type flush struct {
	ctx      context.Context
	flushed  chan error // capacity 1: the result of flushing the exporters; nil if that is not wanted
	number   uint64     // a later flush has a higher one
	position uint64     // of the last collection that it waits for

	served bool // the exporters have been flushed for it; owned by the delivery goroutine

	// Protected by the lock of flushes.
	errs []error
	more int // errors beyond maxFlushErrors
}

// flushes are the flushes under way.
type flushes struct {
	mu     sync.Mutex
	active []*flush
	count  uint64
	until  context.Context // ends when the next one begins, or with parent
	renew  context.CancelFunc
	parent context.Context
}

// newFlushes returns flushes for a delivery that is stopped when ctx ends.
func newFlushes(ctx context.Context) *flushes {
	fs := &flushes{parent: ctx}
	fs.until, fs.renew = context.WithCancel(ctx)
	return fs
}

// begin adds a flush that waits for what position returns, which must not
// block. To everyone else these are one step: a flush that is not under way yet
// when delivery has taken a collection waits for that collection.
func (fs *flushes) begin(f *flush, position func() uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.count++
	f.number, f.position = fs.count, position()
	fs.active = append(fs.active, f)
	fs.renew()
	fs.until, fs.renew = context.WithCancel(fs.parent)
}

// untilNext returns a context that ends when the next flush begins, or when
// delivery is stopped. Who gets it before looking at the flushes under way
// misses none.
func (fs *flushes) untilNext() context.Context {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.until
}

func (fs *flushes) end(f *flush) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.active = slices.DeleteFunc(fs.active, func(other *flush) bool { return other == f })
}

// list returns the flushes under way.
func (fs *flushes) list() []*flush {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.Clone(fs.active)
}

// newest returns the number of the newest flush that waits for the collection
// at position, 0 if there is none.
func (fs *flushes) newest(position uint64) (number uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.active {
		if f.position >= position {
			number = f.number
		}
	}
	return number
}

// failed gives err to the flushes that wait for the collection at position.
func (fs *flushes) failed(position uint64, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.active {
		switch {
		case f.position < position:
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

// flushInner flushes the exporters for the flushes that wait for nothing else.
// They may not have noticed yet: asking the queue here, and not only waiting
// until they have, keeps the next collection from coming in between.
func (d *delivery) flushInner() {
	for _, f := range d.flushes.list() {
		if f.served || f.flushed == nil || f.ctx.Err() != nil || d.ctx.Err() != nil {
			continue
		}
		if d.queue.Wait(endedContext, f.position) == nil {
			f.served = true
			f.flushed <- each(d.senders, func(s *sender) error { return s.flush(f.ctx) })
		}
	}
}

// endedContext makes Wait answer at once.
var endedContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
