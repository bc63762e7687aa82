package main

import (
	"context"
	"time"
)

// behaviour is what a backend does with a request.
type behaviour int

const (
	refusing    behaviour = iota // nobody listens: the client cannot connect
	healthy                      // accepts at once
	slow                         // accepts after slowness
	unavailable                  // answers 503, or Unavailable over gRPC
)

// slowness is how long a slow backend takes for a request.
const slowness = 2 * time.Second

// phase is one part of the script.
type phase struct {
	name      string
	behaviour behaviour
	duration  time.Duration
}

// script returns the outage that both backends go through: 20 seconds in all,
// times scale.
func script(scale float64) []phase {
	return []phase{
		{"healthy", healthy, scaled(3*time.Second, scale)},
		{"slow", slow, scaled(5*time.Second, scale)},
		{"refusing", refusing, scaled(4*time.Second, scale)},
		{"unavailable", unavailable, scaled(3*time.Second, scale)},
		{"recovered", healthy, scaled(5*time.Second, scale)},
	}
}

// length is the time that all phases take together.
func length(phases []phase) time.Duration {
	var sum time.Duration
	for _, p := range phases {
		sum += p.duration
	}
	return sum
}

func scaled(d time.Duration, scale float64) time.Duration {
	return time.Duration(float64(d) * scale)
}

// sleep waits for d, or until ctx ends, and then returns why it did.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
