package batch_test

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

const bytesOfKeyValue = int(unsafe.Sizeof(attribute.KeyValue{}))

// copies returns n collections that share the sets of rm.
func copies(n int, rm *metricdata.ResourceMetrics) []*metricdata.ResourceMetrics {
	all := make([]*metricdata.ResourceMetrics, n)
	for i := range all {
		all[i] = batch.Copy(nil, rm)
	}
	return all
}

func unshared(collections ...*metricdata.ResourceMetrics) int {
	var meter batch.SetMeter
	n := 0
	for _, rm := range collections {
		n += meter.Unshared(rm)
	}
	return n
}

func TestSharedSetsCountOnce(t *testing.T) {
	for _, points := range []int{1, 7, 100, 1000, 2047, 2049, 10_000, 100_000} {
		rm := metrictest.Numbers(points, 1)
		all := copies(20, rm)
		assert.InEpsilon(t, points*bytesOfKeyValue, unshared(all...), 0.5, "%d points", points)
		assert.Equal(t, unshared(rm), unshared(all...), "%d points", points)
	}
}

func TestSetsMadeAnewCountInEachCollection(t *testing.T) {
	for points, collections := range map[int]int{1: 500, 3: 500, 64: 50, 65: 50, 1000: 50, 2049: 50, 30_000: 50} {
		all := make([]*metricdata.ResourceMetrics, collections)
		for i := range all {
			all[i] = metrictest.Numbers(points, 1)
		}
		assert.InEpsilon(t, points*collections*bytesOfKeyValue, unshared(all...), 0.15, "%d points", points)
	}
}

func TestSetsOfSeveralSourcesInTurnsCountOnce(t *testing.T) {
	var meter batch.SetMeter
	sources := make([]*metricdata.ResourceMetrics, 20)
	for i := range sources {
		sources[i] = metrictest.Numbers(100+100*i, 1)
		require.Positive(t, meter.Unshared(sources[i]))
	}
	for range 5 {
		n := 0
		for _, rm := range sources {
			n += meter.Unshared(batch.Copy(nil, rm))
		}
		assert.Less(t, n, batch.Points(batch.Merge(nil, sources...))*bytesOfKeyValue/50)
	}
}

func TestSetsOfPiecesCountOnce(t *testing.T) {
	rm := metrictest.Mixed(5000)
	var meter batch.SetMeter
	for i := range 5 {
		n := 0
		for part := range batch.Split(rm, 333) {
			n += meter.Unshared(part.Copy(nil))
		}
		if i > 0 {
			assert.Less(t, n, 5000*bytesOfKeyValue/50)
		}
	}
}

func TestSetsThatMetricsOfACollectionShareCountOnce(t *testing.T) {
	series := metrictest.Series(1000)
	var data []metricdata.Aggregation
	for range 5 {
		i := -1
		data = append(data, sum(delta, pointsOf(len(series), func(p *metricdata.DataPoint[int64]) {
			i++
			p.Attributes = series[i]
		})...))
	}
	assert.InEpsilon(t, len(series)*bytesOfKeyValue, unshared(collectionWith(data...)), 0.5)
}

// A few new series must not make old ones look new.
func TestANewSeriesCountsAlone(t *testing.T) {
	series := metrictest.Series(10_000)
	var meter batch.SetMeter
	collect := func(series []attribute.Set) int {
		i := -1
		return meter.Unshared(collectionWith(sum(delta, pointsOf(len(series), func(p *metricdata.DataPoint[int64]) {
			i++
			p.Attributes = series[i]
		})...)))
	}
	require.Positive(t, collect(series[100:]))
	n := 0
	for i := range 100 {
		n += collect(series[99-i:])
	}
	assert.Less(t, n, 10_000*bytesOfKeyValue/4)
}

func TestUnsharedCountsWhatValuesReferTo(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		value attribute.Value
		want  int
	}{
		"int":     {attribute.IntValue(1), 0},
		"string":  {attribute.StringValue(long), 1000},
		"strings": {attribute.StringSliceValue([]string{long, long}), 2032},
		"ints":    {attribute.IntSliceValue(make([]int, 100)), 800},
		"floats":  {attribute.Float64SliceValue(make([]float64, 100)), 800},
		"bools":   {attribute.BoolSliceValue(make([]bool, 100)), 100},
		"bytes":   {attribute.ByteSliceValue(make([]byte, 100)), 100},
	} {
		point := metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.KeyValue{Key: "k", Value: c.value})}
		got := unshared(collectionWith(sum(delta, point))) - bytesOfKeyValue
		if c.want == 0 {
			assert.Zero(t, got, name)
		} else {
			assert.InDelta(t, c.want, got, 0.6*float64(c.want), name)
		}
	}
}

func TestAStringThatSetsShareCountsOnce(t *testing.T) {
	constant := strings.Repeat("x", 10_000)
	collect := func(value func() string) *metricdata.ResourceMetrics {
		i := 0
		return collectionWith(sum(delta, pointsOf(1000, func(p *metricdata.DataPoint[int64]) {
			i++
			p.Attributes = attribute.NewSet(attribute.Int("i", i), attribute.String("s", value()))
		})...))
	}
	shared := func() string { return constant }
	anew := func() string { return strings.Clone(constant) }
	assert.Less(t, unshared(collect(shared), collect(shared)), 2000*2*bytesOfKeyValue+20*len(constant))
	assert.InEpsilon(t, 2000*len(constant), unshared(collect(anew), collect(anew)), 0.25)
}

func TestUnsharedOfAnEmptyCollectionIsZero(t *testing.T) {
	assert.Zero(t, unshared(nil, &metricdata.ResourceMetrics{}, collectionWith(nil, weird{}),
		collectionWith(sum[int64](delta), sum(delta, metricdata.DataPoint[int64]{}, metricdata.DataPoint[int64]{Attributes: *attribute.EmptySet()}))))
}

// Then all sets with the same attributes are taken for shared.
func TestWithoutTheLayoutOfASetEqualSetsAreShared(t *testing.T) {
	defer batch.ForgetLayoutOfSets()()
	assert.Equal(t, 50*bytesOfKeyValue, unshared(metrictest.Numbers(50, 1), metrictest.Numbers(50, 1)))
}

func TestTheLayoutOfASetIsKnown(t *testing.T) {
	assert.Positive(t, batch.DataOffset[attribute.Set]())
	assert.Negative(t, batch.DataOffset[int]())
	assert.Negative(t, batch.DataOffset[struct{ hash uint64 }]())
	assert.Negative(t, batch.DataOffset[struct{ a, b any }]())
	assert.Negative(t, batch.DataOffset[struct{ a *int }]())
	assert.Negative(t, batch.DataOffset[struct{ a fmt.Stringer }]())
}

func TestASetMeterTakesLittleMemoryAndAllocatesNone(t *testing.T) {
	var meter batch.SetMeter
	assert.LessOrEqual(t, unsafe.Sizeof(meter), uintptr(32<<10))
	series := collectionWith(sum(delta, metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.String("a", "b"))}))
	assert.Zero(t, testing.AllocsPerRun(10, func() { meter.Unshared(series); meter = batch.SetMeter{} }))
}
