package jetstream

import (
	"context"
	"fmt"
	"time"

	"github.com/asyncmetric/asyncmetric/queue"
)

// acquire puts a value into a channel of capacity 1, or returns queue.ErrClosed
// once closed is, which may be nil, or the error of ctx.
func acquire(ctx context.Context, c chan<- struct{}, closed <-chan struct{}) error {
	select {
	case c <- struct{}{}:
		return nil
	default:
	}
	select {
	case c <- struct{}{}:
		return nil
	case <-closed:
		return queue.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release takes a value out of a channel.
func release(c chan struct{}) { <-c }

// sleep waits for d, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attempts calls f until it succeeds, fails with what does not pass, or ctx ends.
// A request that meets a change of leaders is not answered, so each attempt has a
// deadline of its own.
func attempts(ctx context.Context, f func(context.Context) error) error {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		err := f(attempt)
		cancel()
		if err == nil || !isPassing(err) {
			return err
		}
		if ended := sleep(ctx, pause); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
}
