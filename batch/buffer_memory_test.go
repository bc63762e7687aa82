package batch_test

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// memoryShapes are collections that need memory for very different things, of
// about the given number of data points.
var memoryShapes = map[string]func(points int) *metricdata.ResourceMetrics{
	"counters":     func(points int) *metricdata.ResourceMetrics { return metrictest.Numbers(points, 1) },
	"mixed":        metrictest.Mixed,
	"every kind":   func(points int) *metricdata.ResourceMetrics { return metrictest.EveryKind(points/18 + 1) },
	"many metrics": func(points int) *metricdata.ResourceMetrics { return manyMetrics(points, 1) },
	"histograms of many buckets": func(points int) *metricdata.ResourceMetrics {
		return collectionWith(histogram(delta, pointsOf(points, func(p *metricdata.HistogramDataPoint[float64]) {
			p.Bounds, p.BucketCounts = make([]float64, 199), make([]uint64, 200)
		})...))
	},
	"histograms with bounds of their own": func(points int) *metricdata.ResourceMetrics {
		return collectionWith(histogram(delta, pointsOf(points, func(p *metricdata.HistogramDataPoint[int64]) {
			p.Bounds, p.BucketCounts = []float64{1, rand.Float64()}, make([]uint64, 3)
		})...))
	},
	"exponential histograms": func(points int) *metricdata.ResourceMetrics {
		return collectionWith(exponential(delta, pointsOf(points, func(p *metricdata.ExponentialHistogramDataPoint[float64]) {
			p.PositiveBucket.Counts, p.NegativeBucket.Counts = make([]uint64, 160), make([]uint64, 20)
		})...))
	},
	"summaries": func(points int) *metricdata.ResourceMetrics {
		return collectionWith(metricdata.Summary{DataPoints: pointsOf(points, func(p *metricdata.SummaryDataPoint) {
			p.QuantileValues = make([]metricdata.QuantileValue, 9)
		})})
	},
	"exemplars": func(points int) *metricdata.ResourceMetrics {
		return collectionWith(sum(delta, pointsOf(points, func(p *metricdata.DataPoint[int64]) {
			p.Exemplars = make([]metricdata.Exemplar[int64], 4)
			for i := range p.Exemplars {
				p.Exemplars[i].FilteredAttributes = []attribute.KeyValue{attribute.Int("user", i), attribute.Bool("cached", true)}
				p.Exemplars[i].TraceID, p.Exemplars[i].SpanID = make([]byte, 16), make([]byte, 8)
			}
		})...))
	},
}

// pointsOf returns n data points that fill has filled.
func pointsOf[P any](n int, fill func(*P)) []P {
	points := make([]P, n)
	for i := range points {
		fill(&points[i])
	}
	return points
}

// heapInUse returns how many bytes the heap keeps.
func heapInUse() int {
	runtime.GC()
	runtime.GC() // for what is in pools
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// Several buffers, so that all else that is on the heap matters less.
func TestBytesIsWhatTheHeapKeepsForABuffer(t *testing.T) {
	type collections = []*metricdata.ResourceMetrics
	for name, shape := range memoryShapes {
		large, small := shape(1000), shape(100)
		for steps, fills := range map[string][]func(*batch.Buffer){
			"new":            {func(b *batch.Buffer) { batch.Copy(b, large) }},
			"used":           {func(b *batch.Buffer) { batch.Copy(b, large) }, func(b *batch.Buffer) { batch.Copy(b, large) }},
			"grown":          {func(b *batch.Buffer) { batch.Copy(b, small) }, func(b *batch.Buffer) { batch.Copy(b, large) }},
			"larger than it": {func(b *batch.Buffer) { batch.Copy(b, large) }, func(b *batch.Buffer) { batch.Copy(b, small) }},
			"merged":         {func(b *batch.Buffer) { batch.Merge(b, large, small, large) }},
			"coalesced":      {func(b *batch.Buffer) { batch.Coalesce(b, small, large) }},
		} {
			t.Run(name+"/"+steps, func(t *testing.T) {
				before := heapInUse()
				buffers := make([]batch.Buffer, 4)
				for i := range buffers {
					for _, fill := range fills {
						fill(&buffers[i])
					}
				}
				grown := float64(heapInUse() - before)
				bytes := 0
				for i := range buffers {
					bytes += buffers[i].Bytes()
				}
				t.Logf("%d bytes, the heap has grown by %.0f", bytes, grown)
				assert.LessOrEqual(t, math.Abs(float64(bytes)-grown), grown/10)
				runtime.KeepAlive(collections{large, small})
				runtime.KeepAlive(buffers)
			})
		}
	}
}

func TestAnEmptyBufferIsOnlyAsLargeAsItself(t *testing.T) {
	var buffer batch.Buffer
	assert.EqualValues(t, unsafe.Sizeof(buffer), buffer.Bytes())
	assert.EqualValues(t, unsafe.Sizeof(buffer), buffer.Used())
	assert.Zero(t, buffer.Points())
	assert.Equal(t, metricdata.ResourceMetrics{}, *buffer.Collection())
}

func TestUsedIsNearlyAllOfBytesInASteadyState(t *testing.T) {
	for name, shape := range memoryShapes {
		t.Run(name, func(t *testing.T) {
			var buffer batch.Buffer
			for range 3 {
				batch.Copy(&buffer, shape(1000))
			}
			assert.LessOrEqual(t, buffer.Used(), buffer.Bytes())
			assert.LessOrEqual(t, buffer.Bytes(), buffer.Used()*5/4)
		})
	}
}

func TestUsedIsOfThePresentCollectionAndBytesOfTheLargest(t *testing.T) {
	for name, shape := range memoryShapes {
		t.Run(name, func(t *testing.T) {
			var buffer, another batch.Buffer
			batch.Copy(&buffer, shape(1000))
			batch.Copy(&buffer, shape(1000))
			large := buffer.Bytes()
			batch.Copy(&buffer, shape(20))
			batch.Copy(&another, shape(20))
			assert.Equal(t, another.Used(), buffer.Used())
			assert.Less(t, buffer.Used(), large/5)
			assert.GreaterOrEqual(t, buffer.Bytes(), large*3/4, "a buffer keeps its memory")
		})
	}
}

// An arena of each type counts, found by reflection: one that is forgotten
// would go unnoticed where it is small.
func TestUsedCountsEveryArena(t *testing.T) {
	var buffer batch.Buffer
	batch.Copy(&buffer, metrictest.EveryKind(10))
	used := 0
	for _, arena := range buffer.Arenas() {
		require.NotZero(t, arena.Total, arena.Element)
		used += arena.Total * int(arena.Element.Size())
	}
	aggregations := 32 * len(allMetrics(buffer.Collection()))
	assert.Equal(t, int(unsafe.Sizeof(buffer))+used+aggregations, buffer.Used())
}

func TestBytesAndUsedAllocateNothing(t *testing.T) {
	var buffer batch.Buffer
	batch.Copy(&buffer, metrictest.EveryKind(10))
	assert.Zero(t, testing.AllocsPerRun(10, func() { _ = buffer.Bytes() + buffer.Used() }))
}
