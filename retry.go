package asyncmetric

import (
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retry says how an export that failed is repeated: after a delay that grows
// from InitialInterval by Multiplier up to MaxInterval, each time varied at
// random by the share Jitter. The delays of the zero value are those of the
// default but for Jitter, which is 0.5 there.
//
// The batches behind a failed one wait, so that the order of the points of a
// series is kept. A ForceFlush or Shutdown that waits for the batch has it
// tried at once, and the delays start anew.
type Retry struct {
	// InitialInterval is the delay before the first repetition. Zero means
	// 1 s.
	InitialInterval time.Duration
	// MaxInterval is the largest delay, before it is varied at random, and the
	// most that is granted to a server that asks for a delay. Zero means 30 s.
	MaxInterval time.Duration
	// MaxElapsedTime bounds the time from the first attempt of a batch to the
	// last; then the batch is dropped with the reason elapsed. Zero means no
	// limit.
	MaxElapsedTime time.Duration
	// Multiplier is by how much the delay grows, at least 1. Zero means 1.5.
	Multiplier float64
	// Jitter is the share of the delay, from 0 to 1, by which it is lengthened
	// or shortened at random. Zero means not at all.
	Jitter float64
	// Classify reports whether an error is worth another attempt, and the
	// least delay before it, zero if the error does not ask for one. With
	// [WithReplicas] it may be called concurrently. Nil means [DefaultClassify],
	// which it may call for errors that it does not know.
	//
	// It does not get to see an OTLP partial success: that data has been
	// accepted and would be counted twice if it were sent again.
	Classify func(error) (retry bool, after time.Duration)
}

func defaultRetry() Retry { return Retry{Jitter: 0.5} }

// withDefaults replaces zero by what it stands for.
func (r Retry) withDefaults() Retry {
	if r.InitialInterval == 0 {
		r.InitialInterval = time.Second
	}
	if r.MaxInterval == 0 {
		r.MaxInterval = 30 * time.Second
	}
	if r.Multiplier == 0 {
		r.Multiplier = 1.5
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
	check(r.Multiplier >= 1 && r.Multiplier <= 1e6, "Multiplier is %v: must be at least 1, or 0 for 1.5", r.Multiplier)
	check(r.Jitter >= 0 && r.Jitter <= 1, "Jitter is %v: must be from 0 to 1", r.Jitter)
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

// backOff returns the delays for one batch.
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
