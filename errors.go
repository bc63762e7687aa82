package asyncmetric

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/asyncmetric/asyncmetric/internal/contain"
	"github.com/asyncmetric/asyncmetric/internal/outcome"
)

var (
	// ErrInvalidOption is wrapped by the error that [New] returns for an option
	// that it cannot accept. The error names the option, its value and what is
	// allowed.
	ErrInvalidOption = errors.New("asyncmetric: invalid option")

	// ErrPanic is wrapped by the error that stands for a panic of the inner
	// exporter, a hook, a queue or an instrument. It reaches the error handler,
	// the Err of a [Drop], and the ForceFlush or Shutdown that waited for the
	// batch.
	ErrPanic = contain.ErrPanic
)

var (
	errNilCollection = errors.New("asyncmetric: the collection to export is nil")
	errDrainTimeout  = errors.New("drain timeout")
	errExportTimeout = errors.New("export timeout")
	errTooOld        = errors.New("accepted longer ago than WithMaxAge allows")
	errRetryOff      = errors.New("the last attempt failed, retries are off, and the queue keeps the rest")
	errSetAside      = errors.New("it failed while other data got through")
	errDrainOver     = errors.New("the time for Shutdown is over")
)

// A named is the name of an exporter.
type named string

// errorf returns an error that names the exporter.
func (n named) errorf(format string, args ...any) error {
	return fmt.Errorf("asyncmetric: exporter %s: "+format, append([]any{string(n)}, args...)...)
}

// A RejectedError is what an exporter of your own returns from Export when the
// backend accepted a batch but for some of its data points. Those count as
// dropped, the others as exported, and the batch is not sent again. The
// exporters of OTLP have an error of their own for that, which is recognised,
// too.
type RejectedError struct {
	// Points is how many data points were rejected, as many as the batch has at
	// most. Zero makes it a warning.
	Points int
	// Err says why; it may be nil.
	Err error
}

// Error returns the text of the error.
func (e *RejectedError) Error() string {
	if e == nil {
		return "nothing rejected"
	}
	text := count(e.Points) + " rejected"
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *RejectedError) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// rejectedBy returns how many data points a backend rejected of a batch that it
// accepted otherwise. Where a part of the batch may still be delivered, as in
// another request of the same Export, it was not accepted.
func rejectedBy(err error) (points int, accepted bool) {
	var rejected *RejectedError
	if accepted = errors.As(err, &rejected); !accepted {
		points, accepted = outcome.Rejected(err)
	} else if rejected != nil {
		points = max(0, rejected.Points)
	}
	if accepted && outcome.Classify(err, isRejection).Class >= outcome.TooLarge {
		return 0, false
	}
	return points, accepted
}

// isRejection recognises a RejectedError, but not what wraps one.
func isRejection(err error) bool {
	_, ok := err.(*RejectedError)
	return ok
}

// An UndeliveredError is returned by [Exporter.Shutdown], joined with other
// errors, when it could not deliver everything in its time. Use errors.As to get
// at it. Where data is lost, it also reaches the error handler, because the SDK
// may hide the error of Shutdown behind one of its own.
type UndeliveredError struct {
	// Exporter is the name of the exporter.
	Exporter string
	// Points is the number of data points that were not delivered.
	Points int
	// Kept reports whether the queue keeps them for the next process. Of a
	// collection that was delivered in part it keeps the whole.
	Kept bool
	// Err says why. It wraps the error of the context of Shutdown, or
	// queue.ErrClosed where the application closed the queue, and under
	// [WithoutRetry] it may be neither.
	Err error
}

// Error returns the text of the error.
func (e *UndeliveredError) Error() string {
	if e.Kept {
		return fmt.Sprintf("asyncmetric: exporter %s has shut down: the queue keeps %s for the next process: %v",
			e.Exporter, count(e.Points), e.Err)
	}
	return fmt.Sprintf("asyncmetric: exporter %s has shut down: %s not delivered: %v",
		e.Exporter, counted(e.Points, "was", "were"), e.Err)
}

// Unwrap returns Err.
func (e *UndeliveredError) Unwrap() error { return e.Err }

// count returns a number of data points as text.
func count(points int) string {
	if points == 1 {
		return "1 data point"
	}
	return strconv.Itoa(points) + " data points"
}

// counted is count with a verb.
func counted(points int, one, many string) string {
	if points == 1 {
		many = one
	}
	return count(points) + " " + many
}
