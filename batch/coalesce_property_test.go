package batch_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
)

// coalesceAll makes one of all collections, always of two that are adjacent.
func coalesceAll(collections []*metricdata.ResourceMetrics, pick func(n int) int) *metricdata.ResourceMetrics {
	left := slices.Clone(collections)
	for len(left) > 1 {
		i := pick(len(left) - 1)
		left[i] = batch.Coalesce(nil, left[i], left[i+1])
		left = slices.Delete(left, i+1, i+2)
	}
	return left[0]
}

func TestCoalesceKeepsTotalsOfAnyStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		collections := drawStream(t, rapid.Bool().Draw(t, "huge"), 2)
		got := coalesceAll(collections, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pair") })
		totalsOf(collections...).requireEqual(t, totalsOf(got))
		requireValidStream(t, got)
	})
}

// requireValidStream requires that each point is valid, and that the points of a
// series follow each other without overlap.
func requireValidStream(t testingT, rm *metricdata.ResourceMetrics) {
	t.Helper()
	for key, total := range totalsOf(rm) {
		var last time.Time
		for _, point := range total.points {
			p := reflect.ValueOf(point)
			start, end := startOf(point), p.FieldByName("Time").Interface().(time.Time)
			require.True(t, start.Before(end), key)
			require.True(t, end.After(last), key)
			require.False(t, total.temporality == delta && start.Before(last), key)
			last = end
			requireCountsMatch(t, p)
		}
	}
}

func requireCountsMatch(t testingT, point reflect.Value) {
	t.Helper()
	n := uint64(0)
	if counts := point.FieldByName("BucketCounts"); counts.IsValid() {
		require.Equal(t, point.FieldByName("Bounds").Len()+1, counts.Len())
		for _, c := range counts.Interface().([]uint64) {
			n += c
		}
		require.Equal(t, point.FieldByName("Count").Uint(), n)
	}
	if point.FieldByName("Scale").IsValid() {
		n = point.FieldByName("ZeroCount").Uint()
		for _, sign := range []string{"PositiveBucket", "NegativeBucket"} {
			for _, c := range point.FieldByName(sign).Interface().(metricdata.ExponentialBucket).Counts {
				n += c
			}
		}
		require.Equal(t, point.FieldByName("Count").Uint(), n)
	}
}

// Without numbers that could overflow or fall even the points come out the same,
// since what can be joined does not depend on what is joined first.
func TestCoalesceIsAssociative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		huge := rapid.Bool().Draw(t, "huge")
		collections := drawStream(t, huge, 3)
		forwards := totalsOf(coalesceAll(collections, func(int) int { return 0 }))
		backwards := totalsOf(coalesceAll(collections, func(n int) int { return n - 1 }))
		totalsOf(collections...).requireEqual(t, forwards)
		totalsOf(collections...).requireEqual(t, backwards)
		for key := range forwards {
			if !huge && !mayFall(forwards[key]) {
				require.Equal(t, forwards[key].points, backwards[key].points, key)
			}
		}
	})
}

// mayFall reports whether a series is cumulative and counts: then a fall is a
// reset. The sums that are drawn here are not monotonic.
func mayFall(t *total) bool {
	counts := reflect.ValueOf(t.points[0]).FieldByName("Count").IsValid()
	return counts && t.temporality != delta
}

func TestCoalesceKeepsOneCumulativePointPerStartAndOneGauge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		collections := drawStream(t, false, 2)
		got := totalsOf(coalesceAll(collections, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pair") }))
		for key, total := range totalsOf(collections...) {
			if total.temporality == delta || mayFall(total) {
				continue
			}
			var want []any
			for i, point := range total.points {
				last := i+1 == len(total.points)
				if last || total.temporality == cumulative && startOf(point) != startOf(total.points[i+1]) {
					want = append(want, point)
				}
			}
			require.Equal(t, want, got[key].points, key)
		}
	})
}

func startOf(point any) time.Time {
	return reflect.ValueOf(point).FieldByName("StartTime").Interface().(time.Time)
}

// All have the order of the newer collection, with the rest of the older one in
// front of them. Of a series that is in both, an older point may be in front, too.
func TestCoalesceOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		collections := drawStream(t, false, 2)
		older, newer := collections[0], collections[1]
		before, after := firstAppearances(older), firstAppearances(newer)
		got := firstAppearances(batch.Coalesce(nil, older, newer))
		for parent, children := range got {
			if parent == "" || slices.Contains(got[""], parent) { // not a metric
				require.Equal(t, slices.Concat(without(before[parent], after[parent]), after[parent]), children)
			}
			onlyOlder, onlyNewer := without(before[parent], after[parent]), without(after[parent], before[parent])
			require.Equal(t, append(onlyOlder, onlyNewer...), without(children, both(before[parent], after[parent])))
		}
	})
}

// both returns what is in list and in other.
func both(list, other []string) []string { return without(list, without(list, other)) }

// without returns list without what is in other.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// firstAppearances returns the scopes, for each scope its metrics and for each
// metric its series, all in the order in which they appeared first.
func firstAppearances(collections ...*metricdata.ResourceMetrics) map[string][]string {
	found := map[string][]string{}
	appear := func(parent, child string) string {
		if !slices.Contains(found[parent], child) {
			found[parent] = append(found[parent], child)
		}
		return child
	}
	for _, rm := range collections {
		for _, point := range loosePoints(rm) {
			scope := appear("", fmt.Sprint(point.scope))
			metric := appear(scope, fmt.Sprintf("%s %T%+v", scope, point.metric.Data, point.metric.Data))
			appear(metric, seriesKey(point))
		}
	}
	return found
}
