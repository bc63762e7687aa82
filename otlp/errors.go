package otlp

import (
	"errors"
	"fmt"
)

// What [errors.Is] finds in the errors of [Append].
var (
	// ErrAggregation means that the data of a metric is of a type that OTLP, or
	// this package, does not have.
	ErrAggregation = errors.New("unknown aggregation")

	// ErrTime means that a time is before 1970 or after 2554.
	ErrTime = errors.New("time out of range")

	// ErrUTF8 means that a string is not valid UTF-8. [Decode] returns it, too.
	ErrUTF8 = errors.New("invalid UTF-8")

	// ErrDepth means that arrays and maps are nested deeper than [MaxDepth].
	// [Decode] returns it, too.
	ErrDepth = fmt.Errorf("arrays and maps nested deeper than %d", MaxDepth)

	// ErrTemporality means that a temporality is neither delta nor cumulative
	// nor undefined. [Decode] returns it, too.
	ErrTemporality = errors.New("unknown temporality")

	errNil = errors.New("no collection")
)

// An AppendError is the error of [Append]: something in a collection that OTLP
// cannot express.
type AppendError struct {
	// Path is where it is, in the words of OTLP:
	// "scope_metrics[2].metrics[0].sum.data_points[5].time_unix_nano".
	Path string

	// Metric is the name of the metric; empty for the resource and for scopes.
	Metric string

	// Err says what it is.
	Err error
}

func (e *AppendError) Error() string {
	if e.Metric == "" {
		return fmt.Sprintf("otlp: cannot encode %s: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("otlp: cannot encode metric %q: %s: %v", e.Metric, e.Path, e.Err)
}

// Unwrap returns Err.
func (e *AppendError) Unwrap() error { return e.Err }

// A DecodeError is the error of [Decode]: something in its input that is not
// OTLP, or that metricdata cannot express.
type DecodeError struct {
	// Offset is where in the input it is: the index of the first byte of the
	// field, or of what is in the message if there is something missing in it.
	// For a message that occurs twice where OTLP has one, of which protobuf
	// says that both count together, it may be wrong.
	Offset int

	// Path is where it is, in the words of OTLP:
	// "scope_metrics[2].metrics[0].sum.data_points[5].time_unix_nano". It is
	// empty if the outermost message is damaged.
	Path string

	// Err says what it is; [io.ErrUnexpectedEOF] if the input or a message in
	// it ends too early.
	Err error
}

func (e *DecodeError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("otlp: cannot decode offset %d: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("otlp: cannot decode offset %d: %s: %v", e.Offset, e.Path, e.Err)
}

// Unwrap returns Err.
func (e *DecodeError) Unwrap() error { return e.Err }

// within returns e with its path below name.
func (e *DecodeError) within(name string) *DecodeError {
	path := name
	if e.Path != "" {
		path += "." + e.Path
	}
	return &DecodeError{e.Offset, path, e.Err}
}
