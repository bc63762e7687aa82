package otlp

import (
	"math"
	"time"
)

// OTLP counts time in nanoseconds since 1970, in 64 bits without a sign: up to
// the year 2554. Zero means that there is no time, as the zero time.Time does.

const (
	second  = uint64(time.Second)
	lastSec = math.MaxUint64 / second
)

// unixNano returns t as OTLP has it, and whether OTLP has it at all.
func unixNano(t time.Time) (ns uint64, ok bool) {
	if t.IsZero() {
		return 0, true
	}
	sec, rest := t.Unix(), uint64(t.Nanosecond())
	if sec < 0 || uint64(sec) > lastSec {
		return 0, false
	}
	ns = uint64(sec)*second + rest
	return ns, ns >= rest // false if it has wrapped around
}

// fromUnixNano is the reverse of unixNano.
func fromUnixNano(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(int64(ns/second), int64(ns%second)).UTC()
}
