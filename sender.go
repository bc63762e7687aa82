package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/contain"
	"github.com/asyncmetric/asyncmetric/internal/observe"
	"github.com/asyncmetric/asyncmetric/internal/outcome"
)

// cleanUpTime is what Shutdown keeps of its time, at most, for ending what could
// not be delivered: in it the inner exporter can heed the cancellation of its
// call, be flushed and shut down.
const cleanUpTime = 100 * time.Millisecond

// drainBudget returns the time that ctx, which has a deadline, leaves for
// delivery.
func drainBudget(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	return left - min(left/10, cleanUpTime)
}

// A sender makes all calls to one inner exporter, but for those of the
// selectors, one at a time. It has no goroutine of its own: the worker calls it,
// on its own goroutine or on one that it waits for.
type sender struct {
	*delivery
	exporter metric.Exporter
	peers    []*sender     // those of the other exporters, and this one
	scratch  *batch.Buffer // what the exporter gets
	wasted   int           // how often in a row it was much too large
	health   health
	hold     pacer    // for the time that the server named
	broken   reminder // while it fails and its peers do not

	lastFlush  uint64                     // the newest flush for which it has cut a back-off short
	backingOff atomic.Pointer[backingOff] // nil while it is not

	closed   bool
	closeErr error
}

// delivery is what the worker and its senders share.
type delivery struct {
	config  *config
	flushes *flushes
	reports *reports
	metrics *observe.Metrics
	pacer   pacer // of all senders
	retries atomic.Uint64
	durable bool // the queue is

	alert time.Time // until then, what fails is put to the test at once; set while no sender works

	deadLetter *deadLetter // nil if there is none

	closing  chan struct{}   // closed when Shutdown has set closeCtx, before anything is stopped
	closeCtx context.Context // of the first Shutdown; read after closing

	ctx  context.Context // ends when delivery must stop, with the reason as its cause
	stop context.CancelCauseFunc
}

// isClosing reports whether Shutdown has begun.
func (d *delivery) isClosing() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

// backingOff is what a sender waits for.
type backingOff struct {
	until time.Time
	err   string
}

// An answer is what an inner exporter returned from Export, and what it means.
type answer struct {
	err      error
	accepted bool // the server took the data, all but rejected points
	rejected int
	verdict  Verdict // if it did not

	isOutOfRange bool   // it is a gRPC code that may mean the size of the batch
	unsent       bool   // there was no connection
	advice       string // what has to be mended; empty if that is not known
}

// export hands a copy of a batch to the exporter. The copy is made anew each
// time, because the exporter may change it. Its error is code of others, too:
// what it means is found out where a panic does no harm.
func (s *sender) export(b *outgoing) (a answer) {
	a.err = s.call(s.ctx, "Export", func(ctx context.Context) error {
		data := b.copy(s.scratchBuffer())
		s.pacer.started()
		return s.exporter.Export(ctx, data)
	})
	if a.err == nil {
		return answer{accepted: true}
	}
	failed := contain.Call("the classification of an error", func() error {
		if a.rejected, a.accepted = rejectedBy(a.err); !a.accepted {
			a.verdict = s.config.retry.verdict(a.err)
		}
		return nil
	})
	if failed != nil {
		return answer{err: failed, verdict: Verdict{Action: ActionDrop}}
	}
	_ = contain.Call("an error", func() error {
		m := outcome.Classify(a.err, isRejection)
		a.isOutOfRange, a.unsent, a.advice = m.Status.IsOutOfRange(), m.Unsent, m.Advice()
		return nil
	})
	if a.verdict.After > 0 {
		s.hold.hold(s.config.retry.granted(a.verdict.After))
	}
	return a
}

// scratchBuffer returns the buffer for a batch: a new one when the old one has
// been much too large for long.
func (s *sender) scratchBuffer() *batch.Buffer {
	const ratio, often = 4, 16
	s.wasted++
	if s.scratch == nil || s.scratch.Bytes() <= ratio*s.scratch.Used() {
		s.wasted = 0
	}
	if s.scratch == nil || s.wasted == often {
		s.scratch, s.wasted = new(batch.Buffer), 0
	}
	return s.scratch
}

// flush flushes the exporter until ctx ends.
func (s *sender) flush(ctx context.Context) error {
	return s.callNamed(ctx, "ForceFlush", s.exporter.ForceFlush)
}

// close flushes the exporter, while ctx lives, and shuts it down, once. A flush
// that takes long leaves some time for the rest.
func (s *sender) close(ctx context.Context) error {
	if s.closed {
		return s.closeErr
	}
	s.closed = true
	if ctx.Err() == nil {
		most, cancel := context.WithTimeout(ctx, drainBudget(ctx))
		s.closeErr = s.callNamed(most, "ForceFlush", s.exporter.ForceFlush)
		cancel()
	}
	s.closeErr = errors.Join(s.closeErr, s.callNamed(ctx, "Shutdown", s.exporter.Shutdown))
	return s.closeErr
}

// callNamed is call for a method whose error goes to the application.
func (s *sender) callNamed(ctx context.Context, method string, f func(context.Context) error) error {
	err := s.call(ctx, method, f)
	if err != nil {
		err = s.reports.name.errorf("%s of the inner exporter: %w", method, err)
	}
	return err
}

// call makes one call to the exporter, with a deadline.
func (s *sender) call(ctx context.Context, method string, f func(context.Context) error) error {
	timeout := s.config.exportTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errExportTimeout)
	defer cancel()
	return contain.Call(method+" of the inner exporter", func() error {
		err := f(ctx)
		if err != nil && context.Cause(ctx) == errExportTimeout && !outcome.IsDeadline(err) {
			// Not every exporter says so when it was its deadline that made it fail.
			err = fmt.Errorf("%w after %v: %w", context.DeadlineExceeded, timeout, err)
		}
		return err
	})
}

// errorTypeOf returns the attribute error.type for an error of an attempt, the
// zero value for nil.
func errorTypeOf(err error) (kv attribute.KeyValue) {
	if err == nil {
		return kv
	}
	rejected := false
	_ = contain.Call("an error", func() error {
		_, rejected = rejectedBy(err)
		return nil
	})
	switch {
	case rejected:
		return semconv.ErrorTypeKey.String("rejected") // the conventions' word for it
	case err == errDrainOver:
		return semconv.ErrorTypeKey.String(string(ReasonShutdown))
	default:
		return outcome.ErrorType(err)
	}
}
