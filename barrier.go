package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asyncmetric/asyncmetric/queue"
)

// everything is the position of a flush that waits for all that is accepted.
const everything = math.MaxUint64

// maxFlushErrors is how many errors one flush keeps; of more it keeps the
// number.
const maxFlushErrors = 16

// A flush is a call of ForceFlush or Shutdown that waits for collections to be
// settled. While it is under way, the senders cut their back-off short for it,
// and it gets the errors of what it waits for.
type flush struct {
	ctx      context.Context
	position uint64     // of the last collection that it waits for
	number   uint64     // a later flush has a higher one
	served   chan error // capacity 1: the result of flushing the exporters; nil if it does not want that
	isServed bool       // owned by the worker

	// Protected by the lock of flushes.
	errs []error
	more int   // errors beyond maxFlushErrors
	last error // of the last attempt that failed
}

// A failure is an error that concerns the collection at a position.
type failure struct {
	position uint64
	err      error
}

// flushes are the flushes under way: the barrier. A flush has passed it when the
// queue has settled everything up to its position.
type flushes struct {
	mu      sync.Mutex
	active  []*flush
	count   uint64
	changed chan struct{} // closed, and made anew, when a flush begins

	// For flushes that begin later, until what is in flight is settled.
	errs []failure // of what was dropped
	last failure   // of the last attempt, or of the queue, that failed
}

func newFlushes() *flushes { return &flushes{changed: make(chan struct{})} }

// begin adds a flush that waits for what position returns, which must not
// block. To the worker this is one step: a flush that is not under way yet when
// the worker has taken an entry waits for that entry.
func (fs *flushes) begin(f *flush, position func() uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.count++
	f.number, f.position = fs.count, position()
	fs.active = append(fs.active, f)
	for _, e := range fs.errs {
		f.dropped(e.position, e.err)
	}
	f.failed(fs.last.position, fs.last.err)
	close(fs.changed)
	fs.changed = make(chan struct{})
}

func (fs *flushes) end(f *flush) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.active = slices.DeleteFunc(fs.active, func(other *flush) bool { return other == f })
}

// untilChanged returns a channel that is closed when the next flush begins. A
// caller that gets it before it looks at the flushes misses none.
func (fs *flushes) untilChanged() <-chan struct{} {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.changed
}

// newest returns the number of the newest flush that waits for the collection
// at a position, 0 if there is none.
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

// passed returns the flushes that wait for nothing but the inner exporters.
func (fs *flushes) passed(stats func() queue.Stats) (passed []*flush) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if len(fs.active) == 0 {
		return nil
	}
	s := stats()
	for _, f := range fs.active {
		if f.served != nil && !f.isServed && f.ctx.Err() == nil && s.Passed(f.position) {
			passed = append(passed, f)
		}
	}
	return passed
}

// dropped gives the error of what the queue dropped to the flushes that wait for
// the collection at a position.
func (fs *flushes) dropped(position uint64, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.active {
		f.dropped(position, err)
	}
}

// droppedInFlight is dropped for what is in flight: a flush that begins before it
// is settled gets the error, too.
func (fs *flushes) droppedInFlight(position uint64, err error) {
	fs.dropped(position, err)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if len(fs.errs) < maxFlushErrors {
		fs.errs = append(fs.errs, failure{position, err})
	}
}

// failed notes why the last attempt of the collection at a position failed, for
// the flushes that wait for it.
func (fs *flushes) failed(position uint64, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.last = failure{position, err}
	for _, f := range fs.active {
		f.failed(position, err)
	}
}

// settled says that nothing is in flight any more.
func (fs *flushes) settled() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.errs, fs.last = nil, failure{}
}

// dropped keeps an error, if f waits for the collection at a position. The caller
// holds the lock of flushes.
func (f *flush) dropped(position uint64, err error) {
	switch {
	case f.position < position:
	case len(f.errs) < maxFlushErrors:
		f.errs = append(f.errs, err)
	default:
		f.more++
	}
}

// failed keeps the reason of the last attempt, likewise.
func (f *flush) failed(position uint64, err error) {
	if f.position >= position {
		f.last = err
	}
}

// result returns the errors of what f waited for, and of its last attempt that
// failed.
func (fs *flushes) result(f *flush) (dropped, last error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	errs := slices.Clone(f.errs)
	if f.more > 0 {
		errs = append(errs, fmt.Errorf("asyncmetric: and %d further errors", f.more))
	}
	return errors.Join(errs...), f.last
}

// contextOf returns a context for one call that serves several flushes, whose
// contexts have deadlines. It ends with parent, and when the contexts of all of
// them have ended.
func contextOf(parent context.Context, served []*flush) (context.Context, context.CancelFunc) {
	var latest time.Time
	for _, f := range served {
		if deadline, _ := f.ctx.Deadline(); deadline.After(latest) {
			latest = deadline
		}
	}
	ctx, cancel := context.WithDeadline(parent, latest)
	var left atomic.Int64
	left.Store(int64(len(served)))
	stops := make([]func() bool, len(served))
	for i, f := range served {
		stops[i] = context.AfterFunc(f.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
