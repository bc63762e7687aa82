// Package contain calls code that others wrote: exporters, hooks, error
// handlers, meter providers, errors. It sees each of its ends, so that none of
// them ends the caller: a return, a panic, runtime.Goexit, and an error that
// wraps itself, on which errors.Is would never return.
package contain

import (
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"strings"
)

var (
	// ErrPanic is wrapped by the error that stands for a panic.
	ErrPanic = errors.New("panic")

	// ErrGoexit is wrapped by the error that stands for runtime.Goexit, which the
	// FailNow of a test calls.
	ErrGoexit = errors.New("runtime.Goexit")
)

// Call calls f on a goroutine of its own, waits for its end, and returns the
// error that it returned or that stands for its end. The text where says in the
// latter what was called. Of an error whose wrapped errors do not end, only the
// text is kept.
func Call(where string, f func() error) (err error) {
	returned := false
	end := make(chan struct{})
	go func() {
		defer close(end)
		defer func() {
			if v := recover(); v != nil {
				err = panicError(where, v)
				returned = true
			}
		}()
		err = finite(f())
		returned = true
	}()
	<-end
	if !returned {
		return fmt.Errorf("%w in %s", ErrGoexit, where)
	}
	return err
}

// Recover is deferred around code that may panic on this goroutine. It sets
// err to the error that stands for the panic.
func Recover(where string, err *error) {
	if v := recover(); v != nil {
		*err = panicError(where, v)
	}
}

func panicError(where string, v any) error {
	return fmt.Errorf("%w in %s: %v\n%s", ErrPanic, where, v, debug.Stack())
}

// maxErrors is how many errors of a tree are looked at. Joined errors of a large
// fan-out are far below.
const maxErrors = 1 << 12

// finite returns err, or only its text if it wraps maxErrors errors or more.
func finite(err error) error {
	n := 0
	for range Errors(err) {
		n++
	}
	if n == maxErrors {
		return errors.New(err.Error() + " (it wraps errors without end)")
	}
	return err
}

// Errors yields err and the errors that it wraps, each before those that it
// wraps itself, and at most 4096 of them. It yields nothing for nil.
func Errors(err error) iter.Seq[error] {
	return ErrorsOutside(err, func(error) bool { return false })
}

// ErrorsOutside is Errors without those for which closed is true, and without what
// these wrap.
func ErrorsOutside(err error, closed func(error) bool) iter.Seq[error] {
	return func(yield func(error) bool) {
		w := walker{closed: closed, yield: yield}
		w.walk(err)
	}
}

type walker struct {
	closed, yield func(error) bool
	seen          int
}

// walk reports false when it has to end.
func (w *walker) walk(err error) bool {
	if err == nil {
		return true
	}
	if w.seen++; w.seen > maxErrors {
		return false
	}
	if w.closed(err) {
		return true
	}
	if !w.yield(err) {
		return false
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return w.walk(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, wrapped := range e.Unwrap() {
			if !w.walk(wrapped) {
				return false
			}
		}
	}
	return true
}

// maxText is how many bytes Text returns at most, but for its end mark.
const maxText = 2048

// Text returns the text of err, cut after 2048 bytes.
func Text(err error) (text string) {
	if failed := Call("the text of an error", func() error { text = err.Error(); return nil }); failed != nil {
		text = fmt.Sprintf("%T, whose method Error panics", err)
	}
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + " [...]"
	}
	return text
}
