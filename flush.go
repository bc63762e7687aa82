package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"math"
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

	f := e.delivery.flushes.begin()
	defer e.delivery.flushes.end(f)
	last := e.queue.Last()
	e.delivery.flushes.limit(f, last)

	if err := e.queue.Wait(ctx, last); err != nil {
		return errors.Join(e.delivery.flushes.result(f), e.flushError(err))
	}
	err := e.flushInner(ctx)
	if e.drops.shutdown.Load() > 0 {
		err = errors.Join(err, metric.ErrExporterShutdown) // what was waited for may be among it
	}
	return errors.Join(e.delivery.flushes.result(f), err)
}

// flushInner has the delivery goroutine flush the inner exporter. When that
// goroutine is about to end, it does so anyway.
func (e *Exporter) flushInner(ctx context.Context) error {
	r := &innerFlush{ctx: ctx, result: make(chan error, 1)}
	select {
	case e.delivery.requests <- r:
	case <-e.delivery.done:
		return nil
	case <-ctx.Done():
		return e.flushError(ctx.Err())
	}
	select {
	case err := <-r.result:
		return err
	case <-ctx.Done():
		return e.flushError(ctx.Err())
	}
}

func (e *Exporter) flushError(err error) error {
	return fmt.Errorf("asyncmetric: flush ended with %d data points still queued: %w", e.queue.Stats().Queued, err)
}

// innerFlush asks the delivery goroutine to flush the inner exporter.
type innerFlush struct {
	ctx    context.Context
	result chan error // capacity 1: delivery never waits for a caller that has left
}

// maxFlushErrors is how many errors one flush keeps; of more it keeps the
// number.
const maxFlushErrors = 16

// A flush is a call of ForceFlush or Shutdown that waits for collections to
// end. The lock of flushes protects it.
type flush struct {
	position uint64 // the last collection that it waits for
	hurried  bool   // it has cut a back-off short
	errs     []error
	more     int // errors beyond maxFlushErrors
}

// flushes are the flushes under way.
type flushes struct {
	begun chan struct{} // capacity 1: signals a new flush to delivery in a back-off

	mu     sync.Mutex
	active []*flush
}

func newFlushes() *flushes { return &flushes{begun: make(chan struct{}, 1)} }

// begin adds a flush that waits for everything until limit is called. It
// begins before the position of the newest collection is read, so that no
// error between the two is missed.
func (fs *flushes) begin() *flush {
	f := &flush{position: math.MaxUint64}
	fs.mu.Lock()
	fs.active = append(fs.active, f)
	fs.mu.Unlock()
	select {
	case fs.begun <- struct{}{}:
	default:
	}
	return f
}

// limit says that f waits for collections up to position.
func (fs *flushes) limit(f *flush, position uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.position = position
}

func (fs *flushes) end(f *flush) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.active = slices.DeleteFunc(fs.active, func(other *flush) bool { return other == f })
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

// hurry reports whether a flush waits for the collection at position that has
// not cut a back-off short yet, and lets it.
func (fs *flushes) hurry(position uint64) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	hurry := false
	for _, f := range fs.active {
		if f.position >= position && !f.hurried {
			f.hurried, hurry = true, true
		}
	}
	return hurry
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
