package jetstream

import (
	"context"
	"time"
)

// acquire puts a value into a channel of capacity 1, or returns the error of
// ctx.
func acquire(ctx context.Context, c chan struct{}) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	select {
	case c <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

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
