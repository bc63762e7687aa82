package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/batch"
)

// A sender makes all calls to one exporter, one at a time, but for those of the
// selectors. It has no goroutine of its own: delivery calls it, on its own
// goroutine or on one that it waits for.
type sender struct {
	delivery *delivery
	exporter metric.Exporter
	scratch  batch.Buffer // what the exporter gets
	hurried  uint64       // the newest flush for which it has cut a back-off short

	backingOff atomic.Pointer[backingOff] // nil while it is not

	closed   bool
	closeErr error
}

// backingOff is what a sender waits for.
type backingOff struct {
	until time.Time
	err   string
}

// verdict is what came of an attempt.
type verdict struct {
	err      error
	accepted bool // the server took the data, all but rejected points
	rejected int
	helps    bool          // another attempt may help
	after    time.Duration // but not before this time
}

// attempt hands a copy of a load to the exporter, once. The copy is made anew
// each time, because the exporter may change it.
func (s *sender) attempt(l *load) (v verdict) {
	d := s.delivery
	v.err = s.call(d.ctx, "Export", func(ctx context.Context) error {
		data := l.copy(&s.scratch)
		d.pacer.started()
		return s.exporter.Export(ctx, data)
	})
	if v.err == nil {
		return v
	}
	// The error is code of the inner exporter, too: its methods may panic.
	err := protect("the classification of its error", func() error {
		if v.rejected, v.accepted = partialSuccess(v.err); !v.accepted {
			v.helps, v.after = d.config.retry.Classify(v.err)
		}
		return nil
	})
	if err != nil {
		return verdict{err: err}
	}
	return v
}

// flush flushes the exporter, until ctx ends or delivery is stopped.
func (s *sender) flush(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopped := s.delivery.ctx
	defer context.AfterFunc(stopped, func() { cancel(context.Cause(stopped)) })()
	return s.callFor(ctx, "ForceFlush", s.exporter.ForceFlush)
}

// close flushes the exporter, while ctx lives, and shuts it down, once. A flush
// that takes long leaves some time for the rest.
func (s *sender) close(ctx context.Context) error {
	if s.closed {
		return s.closeErr
	}
	s.closed = true
	if ctx.Err() == nil {
		most, cancel := context.WithTimeout(ctx, mostOf(ctx))
		s.closeErr = s.callFor(most, "ForceFlush", s.exporter.ForceFlush)
		cancel()
	}
	s.closeErr = errors.Join(s.closeErr, s.callFor(ctx, "Shutdown", s.exporter.Shutdown))
	return s.closeErr
}

// callFor is call for a method whose error goes to the application. The text of
// it is made here, where a panic does no harm.
func (s *sender) callFor(ctx context.Context, method string, f func(context.Context) error) error {
	if err := s.call(ctx, method, f); err != nil {
		return fmt.Errorf("asyncmetric: %s of the inner exporter: %w", method, err)
	}
	return nil
}

// call makes one call to the exporter, with a deadline.
func (s *sender) call(ctx context.Context, method string, f func(context.Context) error) error {
	timeout := s.delivery.config.exportTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errExportTimeout)
	defer cancel()
	err := protect(method, func() error { return f(ctx) })
	if err != nil && context.Cause(ctx) == errExportTimeout && !isDeadline(err) {
		// Not every exporter says so when it was its deadline that made it fail.
		err = fmt.Errorf("%w after %v: %w", context.DeadlineExceeded, timeout, err)
	}
	return err
}

// isDeadline is errors.Is, which calls methods of err.
func isDeadline(err error) (is bool) {
	_ = protect("an error", func() error {
		is = errors.Is(err, context.DeadlineExceeded)
		return nil
	})
	return is
}

// protect calls f and turns a panic into an error.
func protect(where string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w in %s: %v\n%s", ErrPanic, where, v, debug.Stack())
		}
	}()
	return f()
}
