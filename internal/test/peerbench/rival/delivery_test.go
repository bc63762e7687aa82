package rival

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/backend"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/workload"
)

const (
	collections = 4
	points      = 30
)

// What is compared must be equal where nothing goes wrong: each rival delivers
// all there is, and the same.
func TestEachRivalDeliversEverythingToAHealthyBackend(t *testing.T) {
	var first *workload.Totals
	for _, r := range All() {
		t.Run(r.Name, func(t *testing.T) {
			received, n := deliver(t, r)
			assert.Equal(t, collections*points, n)
			if first == nil {
				first = &received
			}
			assert.Equal(t, *first, received)
			assert.Equal(t, int64(collections*points/3), received.Recordings)
		})
	}
}

// deliver sends a few collections over HTTP and returns what has arrived.
func deliver(t *testing.T, r Rival) (workload.Totals, int) {
	counter := new(backend.Counter)
	b, err := backend.Open(backend.Options{Handler: counter})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	target := NewHTTP(b.Endpoint(), sdkmetric.DeltaTemporalitySelector, 1)
	t.Cleanup(target.Close)
	e, err := r.Open(t.Context(), Settings{
		Target: target, Collections: collections, Points: points, Dir: t.TempDir(), Sync: true,
	})
	require.NoError(t, err)
	export(t, e, sdkmetric.DeltaTemporalitySelector)
	assert.Eventually(t, func() bool { return counter.Points() >= collections*points }, 20*time.Second, time.Millisecond)
	require.NoError(t, e.Shutdown(context.Background()))
	return counter.Received(), counter.Points()
}

func export(t *testing.T, e sdkmetric.Exporter, temporality sdkmetric.TemporalitySelector) {
	w, err := workload.New(points, workload.Mixed, temporality)
	require.NoError(t, err)
	defer func() { assert.NoError(t, w.Shutdown(context.Background())) }()
	for range collections {
		rm, err := w.Collect(t.Context())
		require.NoError(t, err)
		require.NoError(t, e.Export(t.Context(), rm))
	}
}

func TestEachRivalHasTheTemporalityOfItsTarget(t *testing.T) {
	for _, r := range All() {
		target := NewHTTP("127.0.0.1:1", sdkmetric.DeltaTemporalitySelector, 1)
		e, err := r.Open(t.Context(), Settings{Target: target, Collections: 1, Points: 1, Dir: t.TempDir()})
		require.NoError(t, err)
		for _, kind := range []sdkmetric.InstrumentKind{sdkmetric.InstrumentKindCounter, sdkmetric.InstrumentKindUpDownCounter} {
			assert.Equal(t, sdkmetric.DeltaTemporalitySelector(kind), e.Temporality(kind), r.Name)
			assert.Equal(t, sdkmetric.DefaultAggregationSelector(kind), e.Aggregation(kind), r.Name)
		}
		require.NoError(t, e.Shutdown(context.Background()))
	}
}

// The bound is the same for all: so many collections wait, and one is on its way.
func TestQueuesHaveRoomForEquallyMany(t *testing.T) {
	for _, r := range []Rival{Helper, HandWritten} {
		t.Run(r.Name, func(t *testing.T) {
			sink := &Sink{Gate: make(chan struct{})}
			e, err := r.Open(t.Context(), Settings{Target: sink, Collections: collections - 1, Points: points, Workers: 1})
			require.NoError(t, err)
			w, err := workload.New(points, workload.Mixed, sink.Temporality())
			require.NoError(t, err)
			taken := 0
			for range 3 * collections {
				rm, err := w.Collect(t.Context())
				require.NoError(t, err)
				if e.Export(t.Context(), rm) == nil {
					taken++
				}
				time.Sleep(time.Millisecond) // lets the first one be taken from the channel
			}
			assert.Equal(t, collections, taken)
			close(sink.Gate)
			require.NoError(t, e.Shutdown(context.Background()))
			require.NoError(t, w.Shutdown(context.Background()))
			assert.Equal(t, collections*points, sink.Points())
		})
	}
}

func TestDurableRivalsDeliverWhatAnEarlierProcessLeft(t *testing.T) {
	for _, r := range All() {
		if !r.Durable {
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			s := Settings{
				Target: &Sink{Absent: true}, Collections: collections, Points: points, Dir: t.TempDir(), RetryForEver: true,
			}
			e, err := r.Open(t.Context(), s)
			require.NoError(t, err)
			export(t, e, sdkmetric.DefaultTemporalitySelector)
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			_ = e.Shutdown(ended)

			sink := new(Sink)
			s.Target = sink
			e, err = r.Open(t.Context(), s)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			require.NoError(t, sink.Await(ctx, collections*points))
			require.NoError(t, e.Shutdown(t.Context()))
			assert.Equal(t, collections*points, sink.Points())
		})
	}
}
