package batch_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
)

// requireFolded folds two collections and requires what Fold promises for them.
// It returns rest and what newer has become, in this order.
func requireFolded(t testingT, older, newer *metricdata.ResourceMetrics) (rest, dst *metricdata.ResourceMetrics) {
	t.Helper()
	olderBefore, newerBefore := batch.Copy(nil, older), batch.Copy(nil, newer)
	var dstBuffer, restBuffer batch.Buffer
	batch.Fold(&dstBuffer, &restBuffer, older, newer)
	dst, rest = dstBuffer.Collection(), restBuffer.Collection()
	requireEqual(t, olderBefore, older)
	requireEqual(t, newerBefore, newer)
	require.Equal(t, dstBuffer.Points(), batch.Points(dst))
	require.Equal(t, restBuffer.Points(), batch.Points(rest))
	require.LessOrEqual(t, batch.Points(dst)+batch.Points(rest), batch.Points(older)+batch.Points(newer))
	for _, buffer := range []*batch.Buffer{&dstBuffer, &restBuffer} {
		requireOwnMemory(t, buffer.Collection())
		requireNothingShared(t, older, buffer.Collection())
		requireNothingShared(t, newer, buffer.Collection())
		requireClean(t, buffer)
	}
	requireNothingShared(t, rest, dst)

	continued := idsOf(newer)
	for id := range idsOf(rest) {
		require.False(t, continued[id], "a series of newer is in rest")
	}
	for id := range idsOf(dst) {
		require.True(t, continued[id], "a series that newer has not is in dst")
	}
	for _, scope := range rest.ScopeMetrics {
		require.NotEmpty(t, scope.Metrics)
		for _, metric := range scope.Metrics {
			require.NotZero(t, batch.Points(metrics(metric)))
		}
	}
	coalesced := batch.Coalesce(nil, older, newer)
	require.ElementsMatch(t, barePoints(coalesced), append(barePoints(rest), barePoints(dst)...), "Coalesce gives other points")
	return rest, dst
}

func idsOf(rm *metricdata.ResourceMetrics) map[uint64]bool {
	ids := map[uint64]bool{}
	for _, id := range batch.AppendSeries(nil, rm) {
		ids[id] = true
	}
	return ids
}

func barePoints(rm *metricdata.ResourceMetrics) (points []any) {
	for _, loose := range loosePoints(rm) {
		points = append(points, loose.point)
	}
	return points
}

// requireInOrder requires that the points of each series are in the order in
// which an application has collected them.
func requireInOrder(t testingT, collections ...*metricdata.ResourceMetrics) {
	t.Helper()
	for key, total := range totalsOf(collections...) {
		last := 0
		for _, point := range total.points {
			collected := reflect.ValueOf(point).FieldByName("Time").Interface().(time.Time).Nanosecond()
			require.LessOrEqual(t, last, collected, key)
			last = collected
		}
	}
}

// foldSome folds or coalesces neighbours a few times.
func foldSome(t *rapid.T, collections []*metricdata.ResourceMetrics, check func(before, after []*metricdata.ResourceMetrics)) []*metricdata.ResourceMetrics {
	left := slices.Clone(collections)
	for range rapid.IntRange(1, 12).Draw(t, "folds") {
		if len(left) < 2 {
			break
		}
		i := rapid.IntRange(0, len(left)-2).Draw(t, "pair")
		rest, dst := requireFolded(t, left[i], left[i+1])
		after := []*metricdata.ResourceMetrics{rest, dst}
		if batch.Points(rest) == 0 || rapid.Bool().Draw(t, "coalesce") {
			after = []*metricdata.ResourceMetrics{batch.Coalesce(nil, left[i], left[i+1])}
		}
		check(left[i:i+2], after)
		left = slices.Replace(left, i, i+2, after...)
	}
	return left
}

func drawCollections(t *rapid.T, a *application) (all []*metricdata.ResourceMetrics) {
	for range rapid.IntRange(2, 9).Draw(t, "collections") {
		all = append(all, a.collect())
	}
	return all
}

func TestFoldKeepsTotalsIncreasesAndOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		collections := drawCollections(t, drawApplication(t, false, false))
		folded := foldSome(t, collections, func(_, _ []*metricdata.ResourceMetrics) {})
		totalsOf(collections...).requireEqual(t, totalsOf(folded...))
		require.Equal(t, increases(collections...), increases(folded...))
		requireInOrder(t, folded...)
	})
}

// Fold and Coalesce see a fall only if it is between the points that they get.
func TestFoldKeepsTheIncreaseOfWhatItGetsAcrossAFallWithoutANewStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		collections := drawCollections(t, drawApplication(t, false, true))
		folded := foldSome(t, collections, func(before, after []*metricdata.ResourceMetrics) {
			require.Equal(t, increases(before...), increases(after...))
		})
		totalsOf(collections...).requireEqual(t, totalsOf(folded...))
		requireInOrder(t, folded...)
	})
}

func TestCoalesceKeepsTheIncreaseAcrossFallsIfTheOldestAreJoinedFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		collections := drawCollections(t, drawApplication(t, false, true))
		got := coalesceAll(collections, func(int) int { return 0 })
		require.Equal(t, increases(collections...), increases(got))
	})
}

func TestFoldKeepsTotalsAndOrderOfInstrumentsOfOneStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		collections := drawCollections(t, drawApplication(t, true, rapid.Bool().Draw(t, "silent")))
		folded := foldSome(t, collections, func(_, _ []*metricdata.ResourceMetrics) {})
		totalsOf(collections...).requireEqual(t, totalsOf(folded...))
		requireInOrder(t, folded...)
	})
}

func TestFoldOfAnyShapeKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := shapes.Draw(t, "shape")
		other := slices.Clone(shape)
		if rapid.Bool().Draw(t, "different") {
			other[rapid.IntRange(0, len(other)-1).Draw(t, "at")]++
		}
		older, newer := collectionOf(shape), collectionOf(other)
		var dst, rest batch.Buffer
		for range 3 {
			batch.Fold(&dst, &rest, older, newer)
			for _, b := range []*batch.Buffer{&dst, &rest} {
				require.Len(t, loosePoints(b.Collection()), b.Points())
				requireOwnMemory(t, b.Collection())
				requireNothingShared(t, older, b.Collection())
				requireNothingShared(t, newer, b.Collection())
				requireClean(t, b)
			}
			requireNothingShared(t, dst.Collection(), rest.Collection())
			scribble(dst.Collection())
			scribble(rest.Collection())
			requireEqual(t, collectionOf(shape), older)
			requireEqual(t, collectionOf(other), newer)
			older, newer = collectionOf(other), collectionOf(shape)
			shape, other = other, shape
		}
	})
}
