package queue

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// cycle puts rm in, takes it out and settles it.
func cycle(t testing.TB, m *Memory, points int) {
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(points)))
	e, err := m.Take(t.Context(), Limit{})
	require.NoError(t, err)
	require.NoError(t, e.Settle(Outcome{Exported: points}))
}

func roomyQueue(t testing.TB) *Memory {
	m, err := NewMemory(math.MaxInt, Block)
	require.NoError(t, err)
	return m
}

func TestSteadyStateAllocatesNextToNothing(t *testing.T) {
	m := roomyQueue(t)
	rm := metrictest.Mixed(3000)
	ctx := t.Context()
	allocs := testing.AllocsPerRun(20, func() {
		_ = m.Put(ctx, rm)
		e, _ := m.Take(ctx, Limit{})
		_ = e.Settle(Outcome{Exported: 3000})
	})
	assert.LessOrEqual(t, allocs, 3.0, "allocations for a collection of 3000 data points")
}

func TestOverflowReusesWhatItDrops(t *testing.T) {
	m, err := NewMemory(3000, DropOldest)
	require.NoError(t, err)
	rm := metrictest.Mixed(1000)
	ctx := t.Context()
	for range 3 {
		require.NoError(t, m.Put(ctx, rm))
	}
	allocs := testing.AllocsPerRun(20, func() { _ = m.Put(ctx, rm) })
	assert.LessOrEqual(t, allocs, 3.0, "allocations for a collection of 1000 data points, in a full queue")
	assert.Len(t, m.free.buffers, 0)
}

func TestSpareMemoryHoldsTheNextCollection(t *testing.T) {
	m := roomyQueue(t)
	for _, n := range []int{60, 3, 6, 60, 1} {
		rm := metrictest.EveryKind(n)
		require.NoError(t, m.Put(t.Context(), rm))
		e, err := m.Take(t.Context(), Limit{})
		require.NoError(t, err)
		require.Equal(t, rm, e.Collection())
		require.NoError(t, e.Settle(Outcome{Exported: e.Points()}))
	}
}

func TestAtMostSoManyBuffersAreKept(t *testing.T) {
	m := roomyQueue(t)
	for range 3 * maxFree {
		require.NoError(t, m.Put(t.Context(), metrictest.Mixed(30)))
	}
	for range 3 * maxFree {
		settle(t, take(t, m))
	}
	assert.Len(t, m.free.buffers, maxFree)
}

func TestBufferInUseIsNotKept(t *testing.T) {
	m := roomyQueue(t)
	cycle(t, m, 30)
	require.Len(t, m.free.buffers, 1)
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(30)))
	assert.Empty(t, m.free.buffers)
	assert.Nil(t, m.free.buffers[:1][0], "the slot from which a buffer was taken")
}

func TestGiantBufferIsNotKept(t *testing.T) {
	const giant, usual = 3000, 30
	for name, run := range map[string]func(*testing.T, *Memory){
		"a usual one came before it ended": func(t *testing.T, m *Memory) {
			require.NoError(t, m.Put(t.Context(), metrictest.Mixed(giant)))
			require.NoError(t, m.Put(t.Context(), metrictest.Mixed(usual)))
			settle(t, take(t, m))
			assert.Empty(t, m.free.buffers)
			settle(t, take(t, m))
		},
		"a usual one came after it ended": func(t *testing.T, m *Memory) {
			cycle(t, m, giant)
			cycle(t, m, usual)
		},
		"it ended before usual ones that had come before it": func(t *testing.T, m *Memory) {
			require.NoError(t, m.Put(t.Context(), metrictest.Mixed(usual)))
			require.NoError(t, m.Put(t.Context(), metrictest.Mixed(giant)))
			first := take(t, m)
			settle(t, take(t, m))
			settle(t, first)
			cycle(t, m, usual)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := roomyQueue(t)
			run(t, m)
			for range 2 * maxFree {
				cycle(t, m, usual)
			}
			require.NotEmpty(t, m.free.buffers)
			for _, b := range m.free.buffers {
				assert.LessOrEqual(t, b.Cap(), maxFreeRatio*usual, "data points that a spare buffer has memory for")
			}
		})
	}
}

func TestClosedQueueKeepsNoMemory(t *testing.T) {
	m := roomyQueue(t)
	cycle(t, m, 30)
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(30)))
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(30)))
	e := take(t, m)
	require.NoError(t, m.Close())
	assert.Empty(t, m.free.buffers)
	settle(t, e)
	assert.Empty(t, m.free.buffers, "after the last entry in flight has ended")
}

// The first fill of a buffer takes several chunks; all of them count.
func TestBufferThatIsTooLargeIsNotKeptForItsLastChunk(t *testing.T) {
	m := roomyQueue(t)
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(3000)))
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(300)))
	settle(t, take(t, m))
	assert.Empty(t, m.free.buffers)
}
