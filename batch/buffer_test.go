package batch_test

import (
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// requireClean requires that the buffer keeps nothing of what it held before.
func requireClean(t testingT, buffer *batch.Buffer) {
	t.Helper()
	for _, arena := range buffer.Arenas() {
		require.True(t, arena.Clean, "an old %s is left", arena.Element)
	}
}

func TestBufferHoldsWhatItWasFilledWithLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var buffer batch.Buffer
		for range rapid.IntRange(2, 6).Draw(t, "fills") {
			shape := shapes.Draw(t, "shape")
			source := collectionOf(shape)
			got := batch.Copy(&buffer, source)
			requireEqual(t, collectionOf(shape), got)
			require.Same(t, got, buffer.Collection())
			require.Len(t, loosePoints(source), buffer.Points())
			requireClean(t, &buffer)
			requireOwnMemory(t, got)
			requireNothingShared(t, source, got)
		}
	})
}

func TestBufferTakesCopiesAndPartsInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var buffer batch.Buffer
		for range rapid.IntRange(2, 4).Draw(t, "collections") {
			source := collectionOf(shapes.Draw(t, "shape"))
			requireEqual(t, source, batch.Copy(&buffer, source))
			for part := range batch.Split(source, rapid.IntRange(1, 9).Draw(t, "maxPoints")) {
				got := part.Copy(&buffer)
				requireEqual(t, part.Copy(nil), got)
				require.Same(t, got, buffer.Collection())
				require.Equal(t, part.Points(), buffer.Points())
				requireClean(t, &buffer)
				requireOwnMemory(t, got)
				requireNothingShared(t, source, got)
			}
		}
	})
}

func TestBufferZeroesWhatItNoLongerNeeds(t *testing.T) {
	var buffer batch.Buffer
	batch.Copy(&buffer, metrictest.EveryKind(20))
	batch.Copy(&buffer, metrictest.EveryKind(20)) // now everything is in one chunk
	batch.Copy(&buffer, metrictest.EveryKind(5))
	requireClean(t, &buffer)
	batch.Copy(&buffer, &metricdata.ResourceMetrics{})
	requireClean(t, &buffer)

	for _, arena := range buffer.Arenas() {
		assert.Zero(t, arena.Used, arena.Element)
		assert.NotZero(t, arena.Len, "no memory for a %s was kept", arena.Element)
	}
	assert.Equal(t, metricdata.ResourceMetrics{}, *buffer.Collection())
	assert.Zero(t, buffer.Points())
}

func TestUsedBufferAllocatesNothing(t *testing.T) {
	for name, source := range map[string]*metricdata.ResourceMetrics{
		"mixed":      metrictest.Mixed(3000),
		"every kind": metrictest.EveryKind(50),
		"unknown":    collectionWith(weird{}, nil, &metricdata.Sum[int64]{}),
	} {
		t.Run(name, func(t *testing.T) {
			var buffer batch.Buffer
			batch.Copy(&buffer, source)
			batch.Copy(&buffer, source)
			assert.Zero(t, testing.AllocsPerRun(10, func() { batch.Copy(&buffer, source) }))
		})
	}
}

// A sender has one buffer for all parts. The parts differ, so some metrics take
// another place in the memory each time.
func TestUsedBufferAllocatesForPartsAtMostOncePerMetric(t *testing.T) {
	source := metrictest.Mixed(3000)
	var buffer batch.Buffer
	copyParts := func() {
		for part := range batch.Split(source, 1000) {
			part.Copy(&buffer)
		}
	}
	copyParts()
	copyParts()
	assert.LessOrEqual(t, testing.AllocsPerRun(10, copyParts), float64(len(source.ScopeMetrics[0].Metrics)+10))
}

func TestBufferIsNotDisturbedByWhatItsHolderDoes(t *testing.T) {
	changes := map[string]func(*metricdata.ResourceMetrics){
		"nothing":         func(*metricdata.ResourceMetrics) {},
		"everything":      scribble,
		"no scopes":       func(rm *metricdata.ResourceMetrics) { rm.ScopeMetrics = nil },
		"fewer scopes":    func(rm *metricdata.ResourceMetrics) { rm.ScopeMetrics = rm.ScopeMetrics[1:] },
		"scopes appended": func(rm *metricdata.ResourceMetrics) { rm.ScopeMetrics = append(rm.ScopeMetrics, rm.ScopeMetrics...) },
		"collection":      func(rm *metricdata.ResourceMetrics) { *rm = *metrictest.Mixed(10) },
		"data swapped": func(rm *metricdata.ResourceMetrics) {
			m := rm.ScopeMetrics[0].Metrics
			m[0], m[1], m[4], m[8] = m[1], m[0], m[8], m[4]
		},
		"data of another": func(rm *metricdata.ResourceMetrics) {
			for i := range rm.ScopeMetrics[0].Metrics {
				rm.ScopeMetrics[0].Metrics[i].Data = rm.ScopeMetrics[1].Metrics[i].Data
			}
		},
		"points truncated": func(rm *metricdata.ResourceMetrics) {
			sum := rm.ScopeMetrics[0].Metrics[2].Data.(metricdata.Sum[int64])
			sum.DataPoints = sum.DataPoints[:1]
			rm.ScopeMetrics[0].Metrics[2].Data = sum
		},
		"temporality": func(rm *metricdata.ResourceMetrics) {
			sum := rm.ScopeMetrics[0].Metrics[2].Data.(metricdata.Sum[int64])
			sum.Temporality, sum.IsMonotonic = metricdata.CumulativeTemporality, false
			rm.ScopeMetrics[0].Metrics[2].Data = sum
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			source := metrictest.EveryKind(2)
			var buffer batch.Buffer
			for range 3 {
				got := batch.Copy(&buffer, source)
				requireEqual(t, metrictest.EveryKind(2), got)
				requireNothingShared(t, source, got)
				requireOwnMemory(t, got)
				change(got)
			}
		})
	}
}

func TestTruncatedPointsGiveTheNextFillNoSpareCapacity(t *testing.T) {
	one := metricdata.Gauge[int64]{DataPoints: make([]metricdata.DataPoint[int64], 1)}
	var buffer batch.Buffer
	for range 2 {
		batch.Copy(&buffer, collectionWith(twoKnownPoints(), twoKnownPoints()))
	}
	metrics := buffer.Collection().ScopeMetrics[0].Metrics
	gauge := metrics[0].Data.(metricdata.Gauge[int64])
	gauge.DataPoints = gauge.DataPoints[:1] // as many as come next, in the same place
	metrics[0].Data = gauge
	requireOwnMemory(t, batch.Copy(&buffer, collectionWith(one, twoKnownPoints())))
}

// A used buffer keeps an equal aggregation of the last time and saves an
// allocation. So it has to compare each field.
func TestUsedBufferNoticesEveryFieldOfAnAggregation(t *testing.T) {
	fields := 0
	for _, kind := range knownKinds {
		for i := range kind.NumField() {
			if kind.Field(i).Name == "DataPoints" {
				continue
			}
			fields++
			data := reflect.New(kind).Elem()
			data.FieldByName("DataPoints").Set(reflect.MakeSlice(data.FieldByName("DataPoints").Type(), 1, 1))
			before := collectionWith(data.Interface().(metricdata.Aggregation))
			var f filler
			for data.Field(i).IsZero() {
				f.fill(data.Field(i))
			}
			after := collectionWith(data.Interface().(metricdata.Aggregation))

			var buffer batch.Buffer
			batch.Copy(&buffer, before)
			requireEqual(t, before, batch.Copy(&buffer, before))
			requireEqual(t, after, batch.Copy(&buffer, after))
		}
	}
	assert.Equal(t, 8, fields, "temporality in six kinds, and monotonicity in two")
}

func TestFirstFillWastesLittleMemory(t *testing.T) {
	for name, source := range map[string]*metricdata.ResourceMetrics{
		"mixed":      metrictest.Mixed(3000),
		"numbers":    metrictest.Numbers(3000, 1),
		"histograms": metrictest.Histograms(3000),
		"every kind": metrictest.EveryKind(500),
	} {
		t.Run(name, func(t *testing.T) {
			var buffer batch.Buffer
			allocated := allocatedBy(func() { batch.Copy(&buffer, source) })
			used := 0
			for _, arena := range buffer.Arenas() {
				used += arena.Total * int(arena.Element.Size())
			}
			t.Logf("%.2f bytes allocated for each byte used", float64(allocated)/float64(used))
			assert.LessOrEqual(t, float64(allocated), 1.3*float64(used))
		})
	}
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
