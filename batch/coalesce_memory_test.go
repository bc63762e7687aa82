package batch_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// afterAReset returns what was collected, with every start at the given minute.
func afterAReset(rm *metricdata.ResourceMetrics, start int) *metricdata.ResourceMetrics {
	setStarts(reflect.ValueOf(rm), start)
	return rm
}

func setStarts(v reflect.Value, start int) {
	for _, child := range children(v) {
		if child.Kind() == reflect.Struct && child.FieldByName("StartTime").IsValid() {
			child.FieldByName("StartTime").Set(reflect.ValueOf(minute(start)))
			child.FieldByName("Time").Set(reflect.ValueOf(minute(start + 1)))
		} else if !sealed(child.Type()) {
			setStarts(child, start)
		}
	}
}

// pairs are what the memory of Coalesce is measured with.
func pairs() map[string][2]*metricdata.ResourceMetrics {
	return map[string][2]*metricdata.ResourceMetrics{
		"mixed":           {metrictest.Mixed(3000), metrictest.Mixed(3000)},
		"numbers":         {metrictest.Numbers(3000, 1), metrictest.Numbers(3000, 2)},
		"every kind":      {metrictest.EveryKind(100), metrictest.EveryKind(100)},
		"after a reset":   {metrictest.EveryKind(100), afterAReset(metrictest.EveryKind(100), 5)},
		"all apart":       {metrictest.Numbers(3000, 1), afterAReset(metrictest.Numbers(3000, 2), -5)},
		"clock backwards": {metrictest.EveryKind(100), afterAReset(metrictest.EveryKind(100), -5)},
		"nothing new":     {metrictest.EveryKind(100), {}},
		"only new":        {{}, metrictest.EveryKind(100)},
		"nothing common":  {metrictest.Numbers(3000, 1), metrictest.Histograms(3000)},
		"unknown":         {collectionWith(weird{}, nil, &metricdata.Sum[int64]{}), collectionWith(weird{}, nil)},
	}
}

// leastAllocs returns how many allocations f makes if the garbage collector
// does not take what is pooled in between, as the race detector always does.
func leastAllocs(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for i := 0; i < 30 && least > 0; i++ {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}

func TestCoalesceIntoAUsedBufferAllocatesNothing(t *testing.T) {
	for name, pair := range pairs() {
		t.Run(name, func(t *testing.T) {
			var buffer batch.Buffer
			coalesce := func() { batch.Coalesce(&buffer, pair[0], pair[1]) }
			coalesce()
			coalesce()
			assert.Zero(t, leastAllocs(coalesce))
		})
	}
}

// The measure is a copy of the result, into an empty buffer too, which allocates
// exactly what it needs.
func TestCoalesceIntoAnEmptyBufferWastesLittleMemory(t *testing.T) {
	for name, pair := range pairs() {
		t.Run(name, func(t *testing.T) {
			result := batch.Coalesce(nil, pair[0], pair[1]) // fills the pool
			least := ^uint64(0)
			for range 5 { // the pool may be emptied
				least = min(least, allocatedBy(func() { batch.Coalesce(new(batch.Buffer), pair[0], pair[1]) }))
			}
			needed := allocatedBy(func() { batch.Copy(new(batch.Buffer), result) })
			t.Logf("%.2f bytes allocated for each that a copy needs", float64(least)/float64(needed))
			assert.LessOrEqual(t, float64(least), 1.4*float64(needed))
		})
	}
}

func TestCoalesceNeedsNoMoreMemoryTheMoreOftenABufferIsUsed(t *testing.T) {
	pair := [2]*metricdata.ResourceMetrics{metrictest.EveryKind(50), afterAReset(metrictest.EveryKind(50), 5)}
	var buffer batch.Buffer
	batch.Coalesce(&buffer, pair[0], pair[1])
	batch.Coalesce(&buffer, pair[0], pair[1])
	want := buffer.Bytes()
	for range 20 {
		batch.Coalesce(&buffer, pair[0], pair[1])
	}
	assert.Equal(t, want, buffer.Bytes())
	assert.LessOrEqual(t, buffer.Bytes(), buffer.Used()*5/4)
}

// Coalesce learns late that points stay apart.
func TestCoalesceOfPointsThatStayApartUsesNoMoreMemoryThanACopyOfTheResult(t *testing.T) {
	for name, pair := range pairs() {
		t.Run(name, func(t *testing.T) {
			var buffer, copied batch.Buffer
			batch.Copy(&copied, batch.Coalesce(nil, pair[0], pair[1]))
			for range 3 {
				batch.Coalesce(&buffer, pair[0], pair[1])
				assert.LessOrEqual(t, buffer.Used(), copied.Used()*11/10)
			}
			if name == "all apart" {
				assert.Equal(t, copied.Used(), buffer.Used())
			}
		})
	}
}

// Points hold attributes, exemplars and so on alive.
func TestCoalesceLeavesNoPointsBehindThatAreNotInItsResult(t *testing.T) {
	// Of the second pair some points are joined, some stay apart, some are new.
	first := [2]*metricdata.ResourceMetrics{metrictest.EveryKind(40), afterAReset(metrictest.EveryKind(40), 5)}
	second := [2]*metricdata.ResourceMetrics{metrictest.EveryKind(7), afterAReset(metrictest.EveryKind(12), 5)}
	var buffer batch.Buffer
	for range 2 {
		batch.Coalesce(&buffer, first[0], first[1])
		requireOnlyPointsOf(t, &buffer)
	}
	for range 2 {
		batch.Coalesce(&buffer, second[0], second[1])
		requireOnlyPointsOf(t, &buffer)
	}
}

// requireOnlyPointsOf requires that no data point is in the memory of the buffer
// but those of its collection.
func requireOnlyPointsOf(t *testing.T, buffer *batch.Buffer) {
	t.Helper()
	inUse := spans(buffer.Collection())
	for _, arena := range buffer.Arenas() {
		if arena.Element.Kind() != reflect.Struct {
			continue
		}
		if _, isPoint := arena.Element.FieldByName("StartTime"); !isPoint {
			continue
		}
		for _, at := range arena.Filled {
			require.True(t, slices.ContainsFunc(inUse, func(s span) bool { return s.start <= at && at < s.end }),
				"a %s of no use was left", arena.Element)
		}
	}
}

func TestCoalesceIsNotDisturbedByWhatTheHolderOfTheBufferDoes(t *testing.T) {
	older, newer := metrictest.EveryKind(3), afterAReset(metrictest.EveryKind(4), 5)
	want := batch.Coalesce(nil, older, newer)
	changes := []func(*metricdata.ResourceMetrics){
		scribble,
		func(rm *metricdata.ResourceMetrics) { *rm = *metrictest.Mixed(10) },
		func(rm *metricdata.ResourceMetrics) { slices.Reverse(rm.ScopeMetrics[0].Metrics) },
		func(rm *metricdata.ResourceMetrics) {
			for i := range rm.ScopeMetrics[0].Metrics {
				rm.ScopeMetrics[0].Metrics[i].Data = rm.ScopeMetrics[1].Metrics[i].Data
			}
		},
	}
	var buffer batch.Buffer
	for _, change := range changes {
		for range 3 {
			requireEqual(t, want, batch.Coalesce(&buffer, older, newer))
			change(buffer.Collection())
			requireEqual(t, older, batch.Copy(&buffer, older)) // the same buffer for both
		}
	}
}

// The header of an aggregation that a used buffer keeps has to be that of the
// new one.
func TestCoalesceIntoAUsedBufferNoticesAnotherTemporality(t *testing.T) {
	var buffer batch.Buffer
	for _, header := range []metricdata.Sum[int64]{
		{Temporality: delta}, {Temporality: delta, IsMonotonic: true}, {Temporality: cumulative}, {Temporality: delta},
	} {
		header.DataPoints = []metricdata.DataPoint[int64]{number[int64](0, 1, 1)}
		rm := collectionWith(header)
		got := batch.Coalesce(&buffer, rm, rm).ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64])
		assert.Equal(t, header.Temporality, got.Temporality)
		assert.Equal(t, header.IsMonotonic, got.IsMonotonic)
	}
}

func TestCoalesceMayRunConcurrently(t *testing.T) {
	older, newer := metrictest.EveryKind(20), metrictest.EveryKind(30)
	want := batch.Coalesce(nil, older, newer)
	results := make(chan *metricdata.ResourceMetrics)
	for range 8 {
		go func() {
			var got *metricdata.ResourceMetrics
			for range 10 {
				got = batch.Coalesce(nil, older, newer)
			}
			results <- got
		}()
	}
	for range 8 {
		requireEqual(t, want, <-results)
	}
}
