package asyncmetric_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// observedQueue is a queue in memory whose Take a test can get in before.
type observedQueue struct {
	*queue.Memory
	beforeTake func(ctx context.Context, waiting int) error
}

func newObservedQueue(t *testing.T, beforeTake func(context.Context, int) error) *observedQueue {
	t.Helper()
	m, err := queue.NewMemory(1000, queue.DropOldest)
	require.NoError(t, err)
	return &observedQueue{m, beforeTake}
}

func (q *observedQueue) Take(ctx context.Context, limit queue.Limit) (queue.Entry, error) {
	s := q.Stats()
	if err := q.beforeTake(ctx, s.Queued-s.InFlight); err != nil {
		return nil, err
	}
	return q.Memory.Take(ctx, limit)
}

// A flush may begin when delivery has looked at the flushes and has not taken
// the next collection yet; that one may even be accepted in between.
func TestFlushDoesNotWaitForWhatIsTakenBehindIt(t *testing.T) {
	for name, opts := range map[string][]asyncmetric.Option{
		"alone":     nil,
		"lingering": {asyncmetric.WithMerging(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var e *asyncmetric.Exporter
				started := make(chan struct{})
				flushed := make(chan error, 1)
				once := false
				q := newObservedQueue(t, func(context.Context, int) error {
					<-started
					if once {
						return nil
					}
					once = true
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					go func() { defer cancel(); flushed <- e.ForceFlush(ctx) }()
					time.Sleep(time.Second) // it has begun, and waits for nothing
					return e.Export(t.Context(), metrictest.Numbers(1, 1))
				})
				g := newGate()
				inner := &metrictest.Exporter{OnExport: g.stuck}
				e, _ = start(t, inner, append(opts, asyncmetric.WithQueue(q))...)
				close(started)
				assert.NoError(t, <-flushed)
				assert.Equal(t, 1, inner.Count("ForceFlush"))
				close(g.open)
				shutdown(t, e, inner)
			})
		})
	}
}

// Taking one more collection may wait for a disk or a network. What has been
// taken must not wait with it for long, and not at all for a flush.
func TestWhatIsInHandDoesNotWaitForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newObservedQueue(t, func(ctx context.Context, waiting int) error {
			if waiting > 0 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		inner := &metrictest.Exporter{}
		require.NoError(t, q.Put(t.Context(), metrictest.Numbers(1, 1)))
		e, _ := start(t, inner, asyncmetric.WithQueue(q), asyncmetric.WithMerging(0))
		elapse(time.Second)
		assert.Equal(t, []int64{1}, metrictest.Values(inner.Delivered()))
		_ = e.Shutdown(t.Context())
		assert.Equal(t, 1, inner.Count("Shutdown"))
	})
}

func TestWhoIsToldOfADropFindsItCounted(t *testing.T) {
	inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
		return errors.New("refused")
	}}
	var e *asyncmetric.Exporter
	var told []asyncmetric.Drop
	started := make(chan struct{})
	e, err := asyncmetric.New(inner, append((&record{}).options(), asyncmetric.WithMaxExportBatchSize(2),
		asyncmetric.WithOnDrop(func(d asyncmetric.Drop) {
			<-started
			told = append(told, d)
			assert.Equal(t, uint64(4), e.Stats().Dropped)
			assert.Zero(t, e.Stats().Queued)
		}))...)
	require.NoError(t, err)
	close(started)
	require.NoError(t, e.Export(t.Context(), metrictest.Numbers(4, 1)))
	_ = e.Shutdown(t.Context())
	assert.Len(t, told, 2, "one for each batch, since each has an error of its own")
}

// A typed error of an exporter may panic when it is printed.
func TestErrorsOfFlushAndShutdownCanBePrinted(t *testing.T) {
	evil := func(context.Context) error { return panicky{errors.New("inside")} }
	inner := &metrictest.Exporter{OnForceFlush: evil, OnShutdown: evil}
	e, _ := start(t, inner)
	flushErr, downErr := e.ForceFlush(t.Context()), e.Shutdown(t.Context())
	assert.ErrorContains(t, flushErr, ": ForceFlush of the inner exporter: ")
	assert.ErrorContains(t, downErr, ": Shutdown of the inner exporter: ")
}

func TestShutdownKeepsTimeForTheShutdownOfTheInnerExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := time.Duration(0)
		inner := &metrictest.Exporter{
			OnForceFlush: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			OnShutdown: func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				left = time.Until(deadline)
				return nil
			},
		}
		e, _ := start(t, inner)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_ = e.Shutdown(ctx)
		assert.Positive(t, left)
	})
}
