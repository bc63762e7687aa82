package queue

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
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
	m, err := NewMemory(Bound{Bytes: math.MaxInt64}, Block)
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
	assert.LessOrEqual(t, allocs, 4.0, "allocations for a collection of 3000 data points")
}

func TestOverflowReusesWhatItDrops(t *testing.T) {
	m, err := NewMemory(Bound{Points: 3000}, DropOldest)
	require.NoError(t, err)
	rm := metrictest.Mixed(1000)
	ctx := t.Context()
	for range 3 {
		require.NoError(t, m.Put(ctx, rm))
	}
	allocs := testing.AllocsPerRun(20, func() { _ = m.Put(ctx, rm) })
	assert.LessOrEqual(t, allocs, 4.0, "allocations for a collection of 1000 data points, in a full queue")
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

// lend puts in n collections of the given size, and settles them.
func lend(t testing.TB, m *Memory, n, points int) {
	t.Helper()
	for range n {
		require.NoError(t, m.Put(t.Context(), metrictest.Mixed(points)))
	}
	for range n {
		settle(t, take(t, m))
	}
}

func TestTheNumberOfFreeBuffersIsBounded(t *testing.T) {
	m := roomyQueue(t)
	lend(t, m, 3*maxFree, 30)
	assert.Len(t, m.free.buffers, maxFree)
}

// Whatever a collection is made of, the next one like it finds a buffer.
func TestACollectionFitsIntoTheBufferOfOneOfItsSize(t *testing.T) {
	for _, made := range []func(int) *metricdata.ResourceMetrics{
		metrictest.Mixed, metrictest.EveryKind, metrictest.Histograms,
		func(n int) *metricdata.ResourceMetrics { return metrictest.Numbers(n, 1) },
	} {
		for n := 1; n < 700; n += 1 + n/9 {
			m := roomyQueue(t)
			var buffers []*batch.Buffer
			for range 4 {
				require.NoError(t, m.Put(t.Context(), made(n)))
				e := take(t, m)
				buffers = append(buffers, e.(*entry).piece.Buffer)
				settle(t, e)
			}
			require.Equal(t, slices.Repeat(buffers[:1], 4), buffers, "%d points", n)
		}
	}
}

func TestABurstReusesWhatTheOneBeforeLeft(t *testing.T) {
	const burst = 20
	m := roomyQueue(t)
	rm := metrictest.Mixed(3000)
	run := func() {
		for range burst {
			_ = m.Put(t.Context(), rm)
		}
		for range burst {
			e, _ := m.Take(t.Context(), Limit{})
			_ = e.Settle(Outcome{Exported: 3000})
		}
	}
	allocs := testing.AllocsPerRun(20, run)
	assert.LessOrEqual(t, allocs, 4.0*burst, "allocations for %d collections of 3000 data points", burst)
	assert.Len(t, m.free.buffers, burst)
}

func TestMemoryGoesBackAfterABacklog(t *testing.T) {
	for name, usual := range map[string]func(t *testing.T, m *Memory){
		"then usual collections came": func(t *testing.T, m *Memory) { cycle(t, m, 300) },
		"then small collections came": func(t *testing.T, m *Memory) { cycle(t, m, 3) },
		"then empty collections came": func(t *testing.T, m *Memory) { cycle0(t, m) },
		"then nothing could be sent": func(t *testing.T, m *Memory) {
			require.NoError(t, m.Put(t.Context(), metrictest.Mixed(300)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := roomyQueue(t)
			lend(t, m, 8, 300)
			require.Len(t, m.free.buffers, 8)
			for range freeAfter {
				usual(t, m)
			}
			assert.LessOrEqual(t, len(m.free.buffers), 1)
			assert.LessOrEqual(t, m.free.bytes, roomy(batch.Bytes(metrictest.Mixed(300))))
		})
	}
}

// cycle0 puts in a collection without data points.
func cycle0(t testing.TB, m *Memory) {
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(0)))
}

// A buffer that has not been needed for long is freed, also where each Put finds
// another one.
func TestABufferIsFreedThoughOthersAreUsed(t *testing.T) {
	m := roomyQueue(t)
	lend(t, m, 3, 300)
	oldest := m.free.buffers[0].Buffer
	for range freeAfter {
		lend(t, m, 2, 300)
	}
	require.Len(t, m.free.buffers, 2)
	for _, b := range m.free.buffers {
		assert.NotSame(t, oldest, b.Buffer)
	}
}

func TestTheBoundInBytesHoldsWithFreeBuffers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bound := rapid.IntRange(1, 100_000).Draw(rt, "bound")
		m, err := NewMemory(Bound{Bytes: int64(bound)}, Overflow(rapid.IntRange(int(Coalesce), int(DropNewest)).Draw(rt, "overflow")))
		require.NoError(rt, err)
		var inFlight []Entry
		rt.Repeat(map[string]func(*rapid.T){
			"Put": func(*rapid.T) {
				rm := metrictest.Mixed(rapid.IntRange(0, 100).Draw(rt, "points"))
				before := m.Stats()
				_, waiting := m.Waiting()
				err := m.Put(t.Context(), rm)
				if waiting == 0 {
					require.NoError(rt, err)
					require.Equal(rt, before.Dropped, m.Stats().Dropped)
				}
			},
			"Take": func(*rapid.T) {
				if e, err := m.Take(t.Context(), Limit{}); err == nil {
					inFlight = append(inFlight, e)
				}
			},
			"Settle": func(*rapid.T) {
				if len(inFlight) > 0 {
					settle(t, inFlight[0])
					inFlight = inFlight[1:]
				}
			},
			"Return": func(*rapid.T) {
				if len(inFlight) > 0 {
					require.NoError(rt, inFlight[0].Return())
					inFlight = inFlight[1:]
				}
			},
			"": func(*rapid.T) {
				m.settleDown()
				free := 0
				for _, b := range m.free.buffers {
					free += b.Bytes()
				}
				require.Equal(rt, free, m.free.bytes)
				require.Equal(rt, int64(free+m.waiting.Bytes()), m.Stats().Bytes)
				require.LessOrEqual(rt, free, max(0, bound-m.waiting.Bytes()))
			},
		})
	})
}

func TestAPutFreesWhatItNeedsTheRoomOf(t *testing.T) {
	m, err := NewMemory(Bound{Bytes: int64(batch.Bytes(metrictest.Mixed(1000)))}, DropOldest)
	require.NoError(t, err)
	lend(t, m, 5, 100)
	require.NotEmpty(t, m.free.buffers)
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(1000)))
	assert.Empty(t, m.free.buffers)
	assert.Zero(t, m.Stats().Dropped)
}

func TestBufferInUseIsNotKept(t *testing.T) {
	m := roomyQueue(t)
	cycle(t, m, 30)
	require.Len(t, m.free.buffers, 1)
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(30)))
	assert.Empty(t, m.free.buffers)
	assert.Zero(t, m.free.buffers[:1][0], "the slot from which a buffer was taken")
}

// giantHistograms returns a collection of few points that take much memory.
func giantHistograms(points int) *metricdata.ResourceMetrics {
	rm := metrictest.Histograms(points)
	for _, metric := range rm.ScopeMetrics[0].Metrics {
		data := metric.Data.(metricdata.Histogram[float64])
		for i := range data.DataPoints {
			data.DataPoints[i].BucketCounts = make([]uint64, 10_000)
			data.DataPoints[i].Bounds = make([]float64, 9999)
		}
	}
	return rm
}

func TestGiantBufferIsNotKept(t *testing.T) {
	const usual = 30
	for name, giant := range map[string]*metricdata.ResourceMetrics{
		"many points": metrictest.Mixed(3000), "giant buckets in few points": giantHistograms(usual),
	} {
		for when, run := range map[string]func(*testing.T, *Memory){
			"usual ones came before it ended": func(t *testing.T, m *Memory) {
				require.NoError(t, m.Put(t.Context(), giant))
				e := take(t, m)
				lend(t, m, 2*freeAfter, usual)
				settle(t, e)
			},
			"usual ones came after it ended": func(t *testing.T, m *Memory) {
				require.NoError(t, m.Put(t.Context(), giant))
				settle(t, take(t, m))
				for range freeAfter {
					cycle(t, m, usual)
				}
			},
			"it ended before usual ones that had come before it": func(t *testing.T, m *Memory) {
				require.NoError(t, m.Put(t.Context(), metrictest.Mixed(usual)))
				require.NoError(t, m.Put(t.Context(), giant))
				first := take(t, m)
				settle(t, take(t, m))
				settle(t, first)
				for range freeAfter {
					cycle(t, m, usual)
				}
			},
		} {
			t.Run(name+", "+when, func(t *testing.T) {
				m := roomyQueue(t)
				run(t, m)
				require.NotEmpty(t, m.free.buffers)
				var one batch.Buffer
				batch.Copy(&one, metrictest.Mixed(usual))
				for _, b := range m.free.buffers {
					assert.LessOrEqual(t, b.Bytes(), maxFreeRatio*one.Used(), "bytes of a free buffer")
				}
			})
		}
	}
}

// A small collection does not wait in the buffer of a large one.
func TestWhatWaitsTakesNoMoreMemoryThanItNeeds(t *testing.T) {
	const bound = 20_000
	for name, collections := range map[string][]*metricdata.ResourceMetrics{
		"large and small":             {metrictest.Mixed(800), metrictest.Mixed(200)},
		"of all sizes":                {metrictest.Mixed(800), metrictest.Mixed(30), metrictest.Mixed(200), metrictest.Mixed(500)},
		"as many points, but smaller": {giantHistograms(10), metrictest.Numbers(10, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := NewMemory(Bound{Points: bound}, DropOldest)
			require.NoError(t, err)
			put := func() {
				for _, rm := range collections {
					require.NoError(t, m.Put(t.Context(), rm))
				}
			}
			if name == "as many points, but smaller" {
				m.maxPoints = 200
			}
			for m.Stats().Dropped == 0 {
				put()
			}
			fresh := m.waiting.Bytes()
			// From now on each collection follows the drop of one of another kind.
			require.NoError(t, m.Put(t.Context(), collections[1]))
			for range 5 * m.waiting.Len() {
				put()
				require.LessOrEqual(t, m.waiting.Bytes(), fresh+fresh/4)
			}
		})
	}
}

func TestClosedQueueKeepsNoMemory(t *testing.T) {
	m := roomyQueue(t)
	cycle(t, m, 30)
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(30)))
	require.NoError(t, m.Put(t.Context(), metrictest.Mixed(30)))
	e, returned := take(t, m), take(t, m)
	require.NoError(t, m.Close())
	assert.Empty(t, m.free.buffers)
	settle(t, e)
	require.NoError(t, returned.Return())
	assert.Empty(t, m.free.buffers, "after the last entry in flight has ended")
}
