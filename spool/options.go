package spool

import (
	"errors"
	"fmt"
	"time"

	"github.com/asyncmetric/asyncmetric/queue"
)

// ErrInvalidOption is wrapped by the error that [Open] returns for an option
// that it cannot accept. The error names the option, its value and what is
// allowed.
var ErrInvalidOption = errors.New("spool: invalid option")

// An Option configures a [Queue]. Values are checked in [Open].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// config is what the options say.
type config struct {
	maxBytes int64
	maxAge   time.Duration
	overflow queue.Overflow
	noSync   bool
}

func defaultConfig() config {
	return config{maxBytes: 1 << 30, overflow: queue.Coalesce}
}

// WithMaxBytes sets how many bytes of records may wait for delivery, at least
// 1. The default is 1 GiB.
//
// A record is a collection as it is stored, compressed: for each data point some
// 5 bytes of a counter, 40 of a histogram, 70 of an exponential one. The file is
// larger than the records in it, mostly by up to a page (4 kB) for each, and
// becomes smaller only when it is empty. What is in
// flight comes on top. A single record that is larger than the bound is still
// accepted where nothing else waits: a limit must not turn telemetry off.
func WithMaxBytes(n int64) Option {
	return optionFunc(func(c *config) { c.maxBytes = n })
}

// WithMaxAge sets how long after it was accepted a collection is still handed
// out; an older one is dropped, with [queue.ReasonAge]. Of several that have
// been joined the newest counts. The default, 0, means no limit.
//
// Age is told by the clock of the computer, as nothing else outlives a process:
// if it is set forward, collections of an earlier process are dropped too
// early, if it is set back, too late.
func WithMaxAge(d time.Duration) Option {
	return optionFunc(func(c *config) { c.maxAge = d })
}

// WithOverflow sets what happens to a collection for which there is no room:
// one of the policies of package queue. The default is [queue.Coalesce], which
// makes one of two collections that wait next to each other and have equal
// resources. That loses resolution in time. Where they have no series in common, it
// makes no room, and the oldest collections are dropped: unlike the queue in
// memory, the spool loses totals where a collection arrives in pieces, where several
// resources take turns, and where many series come once.
func WithOverflow(o queue.Overflow) Option {
	return optionFunc(func(c *config) { c.overflow = o })
}

// WithNoSync makes Put and Settle return before what they wrote is on the disk
// itself: it is left to the operating system when to write it there.
//
// It makes no difference when the process ends, however it does, kill -9
// included. When the computer loses power or the kernel crashes, collections
// accepted in the last seconds are lost (Linux writes after about 30), what
// was delivered in that time is delivered again, and, as pages of the file are
// then written in any order, the whole file may have become unreadable; the
// next Open sets it aside and begins a new one. What it gains is the time of
// two syncs for each Put and each Settle: see the README for measurements.
func WithNoSync() Option {
	return optionFunc(func(c *config) { c.noSync = true })
}

// newConfig applies opts to the defaults and checks the result.
func newConfig(opts []Option) (config, error) {
	c := defaultConfig()
	for i, o := range opts {
		if o == nil {
			return c, invalid("option %d of Open is nil", i+1)
		}
		o.apply(&c)
	}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, invalid(format, args...))
		}
	}
	check(c.maxBytes >= 1, "WithMaxBytes(%d): must be at least 1", c.maxBytes)
	check(c.maxAge >= 0, "WithMaxAge(%v): must be above 0, or 0 for no limit", c.maxAge)
	check(c.overflow.Valid(), "WithOverflow(%v): must be one of the policies of package queue", c.overflow)
	return c, errors.Join(errs...)
}

// invalid returns an error that wraps ErrInvalidOption.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidOption, fmt.Sprintf(format, args...))
}
