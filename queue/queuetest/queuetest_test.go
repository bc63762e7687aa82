package queuetest_test

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The suite must suit a queue that differs from the one in memory as much as
// the contract allows.
func TestTheSuiteSuitsADurableQueueWithABoundOfItsOwn(t *testing.T) {
	queuetest.Run(t, queuetest.Config{
		New: func(t *testing.T, maxPoints int, overflow queue.Overflow) queue.Queue {
			return newKept(t, 2*maxPoints+7, overflow)
		},
		Reopen: func(t *testing.T, closed queue.Queue) queue.Queue {
			return closed.(*kept).reopen(t)
		},
	})
}

// kept is a queue that keeps what it holds when it is closed.
type kept struct {
	*queue.Memory
	bound    int
	overflow queue.Overflow

	mu       sync.Mutex
	closed   bool
	started  bool
	inFlight []queue.Entry
}

func newKept(t *testing.T, bound int, overflow queue.Overflow) *kept {
	m, err := queue.NewMemory(queue.Bound{Points: bound}, overflow)
	require.NoError(t, err)
	return &kept{Memory: m, bound: bound, overflow: overflow}
}

func (k *kept) Start(o queue.Observer) error {
	k.mu.Lock()
	if k.closed && !k.started {
		k.mu.Unlock()
		return queue.ErrClosed
	}
	k.started = true
	k.mu.Unlock()
	return k.Memory.Start(o)
}

func (k *kept) Info() queue.Info {
	info := k.Memory.Info()
	info.Durable = true
	return info
}

func (k *kept) Close() error {
	k.Seal()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	return nil
}

func (k *kept) Take(ctx context.Context, limit queue.Limit) (queue.Entry, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, queue.ErrClosed
	}
	e, err := k.Memory.Take(ctx, limit)
	if err != nil {
		return nil, err
	}
	k.inFlight = append(k.inFlight, e)
	return &keptEntry{Entry: e, queue: k}, nil
}

// reopen returns a queue with what k kept.
func (k *kept) reopen(t *testing.T) *kept {
	for {
		e, err := k.Memory.Take(t.Context(), queue.Limit{})
		if err != nil {
			require.ErrorIs(t, err, queue.ErrClosed)
			break
		}
		k.inFlight = append(k.inFlight, e)
	}
	slices.SortFunc(k.inFlight, func(a, b queue.Entry) int { return cmp.Compare(a.Position(), b.Position()) })
	next := newKept(t, k.bound, k.overflow)
	for _, e := range k.inFlight {
		require.NoError(t, next.Put(t.Context(), e.Collection()))
	}
	return next
}

type keptEntry struct {
	queue.Entry
	queue *kept
}

func (e *keptEntry) Settle(o queue.Outcome) error { return e.end(e.Entry.Settle(o)) }
func (e *keptEntry) Return() error                { return e.end(e.Entry.Return()) }

// end forgets the entry if it has ended.
func (e *keptEntry) end(err error) error {
	k := e.queue
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		k.inFlight = slices.DeleteFunc(k.inFlight, func(other queue.Entry) bool { return other == e.Entry })
	}
	return err
}
