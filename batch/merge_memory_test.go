package batch_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// The few allocations are for the table that groups the metrics.
func TestMergeIntoAUsedBufferAllocatesLittle(t *testing.T) {
	for name, rm := range map[string]*metricdata.ResourceMetrics{
		"mixed":        metrictest.Mixed(3000),
		"many metrics": manyMetrics(1000, 1),
		"every kind":   metrictest.EveryKind(50),
		"missing":      collectionWith(nil, nil),
	} {
		t.Run(name, func(t *testing.T) {
			var buffer batch.Buffer
			merge := func() { batch.Merge(&buffer, rm, rm, rm) }
			merge()
			merge()
			assert.LessOrEqual(t, testing.AllocsPerRun(10, merge), float64(8+8*len(rm.ScopeMetrics)))
		})
	}
}

func TestMergeOfCollectionsInAnotherOrderAllocatesLessThanOncePerMetric(t *testing.T) {
	const metrics = 1000
	older, newer := manyMetrics(metrics, 1), manyMetrics(metrics, 1)
	slices.Reverse(newer.ScopeMetrics[0].Metrics)
	var buffer batch.Buffer
	merge := func() { batch.Merge(&buffer, older, newer) }
	merge()
	merge()
	assert.Less(t, testing.AllocsPerRun(10, merge), float64(metrics))
}

// The measure is a copy of the result, into an empty buffer too.
func TestMergeIntoAnEmptyBufferWastesLittleMemory(t *testing.T) {
	for name, rm := range map[string]*metricdata.ResourceMetrics{
		"mixed":      metrictest.Mixed(3000),
		"numbers":    metrictest.Numbers(3000, 1),
		"every kind": metrictest.EveryKind(100),
	} {
		t.Run(name, func(t *testing.T) {
			result := batch.Merge(nil, rm, rm, rm)
			allocated := allocatedBy(func() { batch.Merge(new(batch.Buffer), rm, rm, rm) })
			needed := allocatedBy(func() { batch.Copy(new(batch.Buffer), result) })
			t.Logf("%.2f bytes allocated for each that a copy needs", float64(allocated)/float64(needed))
			assert.LessOrEqual(t, float64(allocated), 1.3*float64(needed))
		})
	}
}

func TestMergeNeedsNoMoreMemoryTheMoreOftenABufferIsUsed(t *testing.T) {
	a, b := metrictest.EveryKind(50), metrictest.EveryKind(30)
	var buffer batch.Buffer
	for range 20 {
		batch.Merge(&buffer, a, b)
		assert.LessOrEqual(t, buffer.Bytes(), buffer.Used()*5/4)
	}
}

// Points hold attributes, exemplars and so on alive.
func TestMergeLeavesNoPointsBehindThatAreNotInItsResult(t *testing.T) {
	var buffer batch.Buffer
	for _, points := range []int{40, 40, 7, 7, 0} {
		batch.Merge(&buffer, metrictest.EveryKind(points), metrictest.EveryKind(points/2))
		requireOnlyPointsOf(t, &buffer)
		requireClean(t, &buffer)
	}
}

func TestMergeIsNotDisturbedByWhatTheHolderOfTheBufferDoes(t *testing.T) {
	a, b := metrictest.EveryKind(3), metrictest.EveryKind(4)
	want := batch.Merge(nil, a, b)
	changes := []func(*metricdata.ResourceMetrics){
		scribble,
		func(rm *metricdata.ResourceMetrics) { *rm = *metrictest.Mixed(10) },
		func(rm *metricdata.ResourceMetrics) { slices.Reverse(rm.ScopeMetrics[0].Metrics) },
	}
	var buffer batch.Buffer
	for _, change := range changes {
		for range 3 {
			requireEqual(t, want, batch.Merge(&buffer, a, b))
			change(buffer.Collection())
			requireEqual(t, batch.Coalesce(nil, a, b), batch.Coalesce(&buffer, a, b)) // the same buffer for all
			requireEqual(t, a, batch.Copy(&buffer, a))
		}
	}
}

func TestMergeMayRunConcurrently(t *testing.T) {
	a, b := metrictest.EveryKind(20), metrictest.EveryKind(30)
	want := batch.Merge(nil, a, b, a)
	results := make(chan *metricdata.ResourceMetrics)
	for range 8 {
		go func() { results <- batch.Merge(nil, a, b, a) }()
	}
	for range 8 {
		requireEqual(t, want, <-results)
	}
}

// With delta temporality, each collection may have metrics of its own.
func TestMergeOfManyCollectionsNeedsMemoryForWhatIsInThem(t *testing.T) {
	allocated := func(n int) uint64 {
		collections := make([]*metricdata.ResourceMetrics, n)
		for i := range collections {
			collections[i] = metrictest.Numbers(1, 1)
			collections[i].ScopeMetrics[0].Metrics[0].Name = fmt.Sprint(i)
		}
		return allocatedBy(func() { batch.Merge(nil, collections...) })
	}
	assert.Less(t, float64(allocated(4000)), 15*float64(allocated(400)))
}
