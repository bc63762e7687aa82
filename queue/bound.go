package queue

import (
	"errors"
	"fmt"
)

// DefaultMaxBytes is how much memory a [Memory] may take by default: 64 MiB.
const DefaultMaxBytes = 64 << 20

// A Bound says how much may wait in a [Memory]. Both limits hold: the queue is
// full when one of them is reached. The zero value is the default.
type Bound struct {
	// Points is how many data points may wait. Zero means no limit in data
	// points.
	Points int
	// Bytes is how much memory what waits may keep alive, in bytes, the buffers
	// that the queue keeps for reuse included. Zero means [DefaultMaxBytes].
	Bytes int64
}

// withDefaults returns the bound with its defaults filled in, or an error that
// names each field that is negative.
func (b Bound) withDefaults() (Bound, error) {
	var errs []error
	if b.Points < 0 {
		errs = append(errs, fmt.Errorf("queue: Bound.Points is %d: must be at least 1, or 0 for no limit in data points", b.Points))
	}
	if b.Bytes < 0 {
		errs = append(errs, fmt.Errorf("queue: Bound.Bytes is %d: must be at least 1, or 0 for the default of %d", b.Bytes, DefaultMaxBytes))
	}
	if b.Bytes == 0 {
		b.Bytes = DefaultMaxBytes
	}
	return b, errors.Join(errs...)
}
