package asyncmetric

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retry says how a failed export is repeated, and how a queue that fails is asked
// again: after a delay that grows from
// InitialInterval by Multiplier up to MaxInterval, each time varied at random by
// the share Jitter. Zero means the default in each field.
//
// The batches behind a failed one wait, so that the points of a series stay in
// order. A ForceFlush or Shutdown that waits for the batch cuts the delay short,
// and the delays start anew. It does not cut short a delay that the server asked
// for.
type Retry struct {
	// InitialInterval is the delay before the first repetition. Zero means 1 s, or
	// MaxInterval if that is less.
	InitialInterval time.Duration
	// MaxInterval is the largest delay, before it is varied at random, and the
	// most that is granted to a server that asks for a delay. Zero means 30 s, or
	// InitialInterval if that is more.
	MaxInterval time.Duration
	// MaxElapsedTime bounds the time from the first attempt of a batch to the
	// start of its last; then the batch is dropped with the reason elapsed. Zero
	// means no limit.
	MaxElapsedTime time.Duration
	// Suspect is how long a batch fails, with errors that say nothing about it,
	// until it is put to the test: its halves are sent, and if other data gets
	// through and a part of it does not, that part is dropped with the reason
	// permanent. See the documentation of the package. Zero means 15 minutes, a
	// negative number never.
	Suspect time.Duration
	// Bisect says what becomes of a batch that is refused as bad data: it is
	// halved until the bad points are alone, within a budget of requests, and
	// only those are dropped. It is off by default, because a backend may have
	// stored a part of what it refuses.
	Bisect bool
	// Multiplier is the growth of the delay, at least 1. Zero means 1.5.
	Multiplier float64
	// Jitter is the share of the delay, at most 1, by which it is lengthened or
	// shortened at random. A delay that the server asked for is only lengthened.
	// Zero means 0.5, a negative number none.
	Jitter float64
	// Classify says what an error of the inner exporter means. With [WithReplicas]
	// it may be called concurrently. If it panics, the batch is dropped. Nil means
	// [DefaultClassify].
	//
	// It does not see the errors of batches that the server accepted, with or
	// without rejected points: they would be counted twice if they were sent
	// again.
	Classify func(error) Verdict
}

// verdict classifies an error.
func (r Retry) verdict(err error) Verdict {
	v := r.Classify(err)
	if v.Action < ActionRetry || v.Action > ActionDrop {
		return DefaultClassify(err)
	}
	return v
}

// withDefaults replaces zero by what it stands for.
func (r Retry) withDefaults() Retry {
	if r.InitialInterval == 0 {
		r.InitialInterval = time.Second
		if r.MaxInterval > 0 {
			r.InitialInterval = min(time.Second, r.MaxInterval)
		}
	}
	if r.MaxInterval == 0 {
		r.MaxInterval = max(30*time.Second, r.InitialInterval)
	}
	if r.Suspect == 0 {
		r.Suspect = 15 * time.Minute
	}
	if r.Multiplier == 0 {
		r.Multiplier = 1.5
	}
	switch {
	case r.Jitter == 0:
		r.Jitter = 0.5
	case r.Jitter < 0:
		r.Jitter = 0
	}
	if r.Classify == nil {
		r.Classify = DefaultClassify
	}
	return r
}

// validate returns all that is wrong with r, which has no zero defaults left.
func (r Retry) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, invalid("WithRetry: "+format, args...))
		}
	}
	check(r.InitialInterval > 0, "InitialInterval is %v: must be above 0, or 0 for 1s", r.InitialInterval)
	check(r.MaxInterval >= r.InitialInterval, "MaxInterval is %v: must be at least InitialInterval (%v), or 0 for 30s",
		r.MaxInterval, r.InitialInterval)
	check(r.MaxElapsedTime >= 0, "MaxElapsedTime is %v: must be above 0, or 0 for no limit", r.MaxElapsedTime)
	check(r.Multiplier >= 1 && r.Multiplier <= 1e6, "Multiplier is %v: must be from 1 to 1e6, or 0 for 1.5", r.Multiplier)
	check(r.Jitter >= 0 && r.Jitter <= 1, "Jitter is %v: must be at most 1, 0 for 0.5, or negative for none", r.Jitter)
	return errors.Join(errs...)
}

// describe returns r, but for Classify, as text.
func (r Retry) describe() string {
	limit := "no limit"
	if r.MaxElapsedTime > 0 {
		limit = fmt.Sprintf("for %v", r.MaxElapsedTime)
	}
	return fmt.Sprintf("%v to %v, x%v, ±%.3g %%, %s", r.InitialInterval, r.MaxInterval, r.Multiplier, 100*r.Jitter, limit)
}

// backOff returns the delays of one batch.
func (r Retry) backOff() *backoff.ExponentialBackOff {
	b := &backoff.ExponentialBackOff{
		InitialInterval:     r.InitialInterval,
		RandomizationFactor: r.Jitter,
		Multiplier:          r.Multiplier,
		MaxInterval:         r.MaxInterval,
	}
	b.Reset()
	return b
}

// granted returns how long to wait for a server that asked for a delay: longer
// by up to the share Jitter, so that the clients of a server do not come back in
// one instant.
func (r Retry) granted(after time.Duration) time.Duration {
	after = min(max(0, after), r.MaxInterval, math.MaxInt64/2) // so that the sum is one
	return after + time.Duration(rand.Float64()*r.Jitter*float64(after))
}
