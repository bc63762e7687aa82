package asyncmetric

import "errors"

var (
	// ErrInvalidOption is wrapped by the error that [New] returns for an option
	// that it cannot accept. The error names the option, its value and what is
	// allowed.
	ErrInvalidOption = errors.New("asyncmetric: invalid option")

	// ErrPanic is wrapped by the error that stands for a panic of the inner
	// exporter. It reaches the error handler, the Err of a [Drop], and the
	// ForceFlush or Shutdown that waited for the batch.
	ErrPanic = errors.New("asyncmetric: inner exporter panicked")
)

var (
	errNilExporter   = errors.New("asyncmetric: the inner exporter is nil")
	errNilCollection = errors.New("asyncmetric: the collection to export is nil")
	errDrainTimeout  = errors.New("asyncmetric: drain timeout")
	errExportTimeout = errors.New("asyncmetric: export timeout")
	errTooOld        = errors.New("asyncmetric: accepted longer ago than WithMaxAge allows")
	errGoexit        = errors.New("asyncmetric: the inner exporter ended its goroutine")
	errRetryOff      = errors.New("asyncmetric: the last attempt failed, retries are off, and the queue keeps the rest")
	errDrainOver     = errors.New("asyncmetric: the time for Shutdown is over")
)
