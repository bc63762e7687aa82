package queuetest_test

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
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
	t        *testing.T
	bound    int
	overflow queue.Overflow
	closed   context.Context // ends with Close
	close    context.CancelFunc

	mu       sync.Mutex
	inFlight []queue.Entry
}

func newKept(t *testing.T, bound int, overflow queue.Overflow) *kept {
	m, err := queue.NewMemory(bound, overflow)
	require.NoError(t, err)
	k := &kept{Memory: m, t: t, bound: bound, overflow: overflow}
	k.closed, k.close = context.WithCancel(context.Background())
	return k
}

func (k *kept) Durable() bool { return true }

func (k *kept) Close() error {
	k.Seal()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.close()
	return nil
}

func (k *kept) Take(ctx context.Context, want func(*metricdata.ResourceMetrics) bool) (queue.Entry, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed.Err() != nil {
		return nil, queue.ErrClosed
	}
	e, err := k.Memory.Take(ctx, want)
	if err != nil {
		return nil, err
	}
	k.inFlight = append(k.inFlight, e)
	return &keptEntry{Entry: e, queue: k}, nil
}

func (k *kept) Wait(ctx context.Context, position uint64) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.closed, cancel)()
	err := k.Memory.Wait(inner, position)
	if err != nil && ctx.Err() == nil {
		return queue.ErrClosed
	}
	return err
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

func (e *keptEntry) Settle(exported, dropped int) error {
	k := e.queue
	k.mu.Lock()
	defer k.mu.Unlock()
	err := e.Entry.Settle(queue.Outcome{Exported: exported, Dropped: dropped})
	if err == nil {
		k.inFlight = slices.DeleteFunc(k.inFlight, func(other queue.Entry) bool { return other == e.Entry })
	}
	return err
}
