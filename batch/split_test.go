package batch_test

import (
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// requireSplit requires what the doc comment of Split promises. A loose point has
// its name, temporality, scope and so on, so that a comparison covers them.
func requireSplit(t testingT, rm *metricdata.ResourceMetrics, maxPoints int) {
	t.Helper()
	want := loosePoints(rm)
	var parts []batch.Part
	for part := range batch.Split(rm, maxPoints) {
		parts = append(parts, part)
		require.LessOrEqual(t, len(parts), len(want), "parts without end")
	}
	var together []loosePoint
	for i, part := range parts {
		got := part.Copy(nil)
		loose := loosePoints(got)
		together = append(together, loose...)
		require.NotEmpty(t, loose)
		require.Len(t, loose, part.Points())
		require.Equal(t, part.Points(), batch.Points(got))
		if i < len(parts)-1 {
			require.Len(t, loose, maxPoints)
		} else if maxPoints > 0 {
			require.LessOrEqual(t, len(loose), maxPoints)
		}
		requireNothingEmptyOrTwice(t, got)
		requireOwnMemory(t, got)
		requireNothingShared(t, rm, got)
	}
	require.Equal(t, want, together)
}

// requireNothingEmptyOrTwice relies on a collectionOf, in which all names
// differ.
func requireNothingEmptyOrTwice(t testingT, rm *metricdata.ResourceMetrics) {
	t.Helper()
	seen := map[string]bool{}
	once := func(name string) {
		require.False(t, seen[name], "%s occurs twice", name)
		seen[name] = true
	}
	for _, scope := range rm.ScopeMetrics {
		once(scope.Scope.Name)
		require.NotEmpty(t, scope.Metrics)
		for _, metric := range scope.Metrics {
			once(metric.Name)
			_, points := bare(metric)
			require.NotEmpty(t, points)
		}
	}
}

func TestSplitYieldsEveryPointOnceAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rm := collectionOf(shapes.Draw(t, "shape"))
		requireSplit(t, rm, rapid.IntRange(-1, 40).Draw(t, "maxPoints"))
	})
}

func TestSplitKeepsWhatIsSaidOfAPoint(t *testing.T) {
	const kinds, points = 9, 2
	source := metrictest.EveryKind(points)
	parts := slices.Collect(batch.Split(source, 1))
	require.Len(t, parts, 2*kinds*points)
	for i, part := range parts {
		scope := source.ScopeMetrics[i/(kinds*points)]
		metric := scope.Metrics[i/points%kinds]
		metric.Data = onePoint(metric.Data, i%points)
		requireEqual(t, &metricdata.ResourceMetrics{
			Resource: source.Resource,
			ScopeMetrics: []metricdata.ScopeMetrics{
				{Scope: scope.Scope, Metrics: []metricdata.Metrics{metric}},
			},
		}, part.Copy(nil))
	}
}

// onePoint returns data with only one of its data points.
func onePoint(data metricdata.Aggregation, index int) metricdata.Aggregation {
	some := reflect.New(reflect.TypeOf(data)).Elem()
	some.Set(reflect.ValueOf(data))
	points := some.FieldByName("DataPoints")
	points.Set(points.Slice(index, index+1))
	return some.Interface().(metricdata.Aggregation)
}

func TestSplitKeepsTemporalityAndMonotonicity(t *testing.T) {
	point := []metricdata.DataPoint[int64]{{Value: 1}, {Value: 2}}
	for _, want := range []metricdata.Sum[int64]{
		{Temporality: metricdata.DeltaTemporality, IsMonotonic: true},
		{Temporality: metricdata.DeltaTemporality},
		{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true},
		{Temporality: metricdata.CumulativeTemporality},
	} {
		want.DataPoints = point
		for part := range batch.Split(collectionWith(want), 1) {
			got := part.Copy(nil).ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64])
			assert.Equal(t, want.Temporality, got.Temporality)
			assert.Equal(t, want.IsMonotonic, got.IsMonotonic)
		}
	}
}

func TestSplitWithoutALimitGivesOnePart(t *testing.T) {
	source := metrictest.EveryKind(3)
	for _, maxPoints := range []int{-1, 0, 54, 55, math.MaxInt} {
		parts := slices.Collect(batch.Split(source, maxPoints))
		require.Len(t, parts, 1)
		requireEqual(t, source, parts[0].Copy(nil))
	}
}

func TestSplitOfNothingGivesNoParts(t *testing.T) {
	for _, nothing := range []*metricdata.ResourceMetrics{
		nil, {}, {ScopeMetrics: make([]metricdata.ScopeMetrics, 2)}, collectionWith(nil, metricdata.Gauge[int64]{}),
	} {
		assert.Empty(t, slices.Collect(batch.Split(nothing, 10)))
		assert.Empty(t, slices.Collect(batch.Split(nothing, 0)))
	}
}

func TestSplitMayBeLeftEarly(t *testing.T) {
	source := metrictest.Numbers(10, 1)
	parts := batch.Split(source, 3)
	for part := range parts {
		assert.Equal(t, 3, part.Points())
		break
	}
	assert.Len(t, slices.Collect(parts), 4, "it starts again at the first part")
}

func TestSplitPassesOnUnknownKindsAsTheyAre(t *testing.T) {
	odd := weird{twoKnownPoints().(metricdata.Gauge[int64])}
	pointer := &metricdata.Sum[int64]{DataPoints: odd.DataPoints}
	rm := collectionWith(odd, twoKnownPoints(), nil, pointer, twoKnownPoints(), odd)
	for maxPoints := range 9 {
		var found []metricdata.Aggregation
		points := 0
		for part := range batch.Split(rm, maxPoints) {
			points += part.Points()
			for _, metric := range part.Copy(nil).ScopeMetrics[0].Metrics {
				if _, known := metric.Data.(metricdata.Gauge[int64]); !known {
					found = append(found, metric.Data)
				}
			}
		}
		assert.Equal(t, 7, points)
		require.Len(t, found, 3)
		for i, want := range []metricdata.Aggregation{odd, pointer, odd} {
			requireSameWhole(t, want, found[i])
		}
	}
}

func TestPartMayBeCopiedAgainAfterACopyWasChanged(t *testing.T) {
	var buffer batch.Buffer
	for part := range batch.Split(metrictest.EveryKind(7), 10) {
		want := part.Copy(nil)
		scribble(part.Copy(nil))
		scribble(part.Copy(&buffer))
		requireEqual(t, want, part.Copy(&buffer))
	}
}

func TestPartsMayBeCopiedConcurrently(t *testing.T) {
	source := metrictest.EveryKind(20)
	parts := slices.Collect(batch.Split(source, 50))
	copies := make([]*metricdata.ResourceMetrics, len(parts))
	var copying sync.WaitGroup
	for i, part := range parts {
		copying.Go(func() { copies[i] = part.Copy(nil) })
		copying.Go(func() { scribble(part.Copy(new(batch.Buffer))) })
	}
	copying.Wait()

	var together []loosePoint
	for _, got := range copies {
		together = append(together, loosePoints(got)...)
	}
	assert.Equal(t, loosePoints(source), together)
	requireEqual(t, metrictest.EveryKind(20), source)
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add([]byte{4, 6, 11, 0}, 1)                                                         // one metric
	f.Add([]byte{0, 3, 9, 5, 10, 5, 11, 5, 0, 5, 1, 5, 3, 2, 5, 3, 5, 4, 5, 5, 5, 7}, 10) // every kind
	f.Add([]byte{1, 3, 6, 9, 6, 5, 7, 8, 11, 1, 4, 0, 7, 1, 0}, 2)                        // gaps and unknown kinds
	f.Fuzz(func(t *testing.T, shape []byte, maxPoints int) {
		requireSplit(t, collectionOf(shape), maxPoints)
	})
}
