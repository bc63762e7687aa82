package batch_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// requireCopyFrom requires that a copy into dst has the points of rm but for the
// first n, and memory of its own.
func requireCopyFrom(t testingT, dst *batch.Buffer, rm *metricdata.ResourceMetrics, n int) {
	t.Helper()
	want := loosePoints(rm)[n:]
	got := batch.CopyFrom(dst, rm, n)
	require.Equal(t, want, loosePoints(got), "without the first %d", n)
	require.Equal(t, len(want), batch.Points(got))
	require.Same(t, rm.Resource, got.Resource)
	if dst != nil {
		require.Same(t, dst.Collection(), got)
		require.Equal(t, len(want), dst.Points())
	}
	requireNothingEmptyOrTwice(t, got)
	requireOwnMemory(t, got)
	requireNothingShared(t, rm, got)
}

func TestCopyFromLeavesOutTheFirstPointsOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rm := collectionOf(shapes.Draw(t, "shape"))
		all := batch.Points(rm)
		if all < 2 {
			t.Skip("nothing to cut")
		}
		var used batch.Buffer
		batch.Copy(&used, metrictest.EveryKind(2))
		n := rapid.IntRange(1, all-1).Draw(t, "n")
		requireCopyFrom(t, nil, rm, n)
		requireCopyFrom(t, &used, rm, n)
	})
}

func TestCopyFromCutsEveryKindAnywhere(t *testing.T) {
	source := metrictest.EveryKind(2)
	var dst batch.Buffer
	for n := 1; n < batch.Points(source); n++ {
		got := batch.CopyFrom(&dst, source, n)
		require.Equal(t, loosePoints(source)[n:], loosePoints(got), "without the first %d", n)
		requireOwnMemory(t, got)
		requireNothingShared(t, source, got)
	}
}

func TestCopyFromDoesNotChangeItsSource(t *testing.T) {
	source := metrictest.EveryKind(3)
	var dst batch.Buffer
	for n := 1; n < batch.Points(source); n++ {
		scribble(batch.CopyFrom(&dst, source, n))
		scribble(batch.CopyFrom(nil, source, n))
		requireEqual(t, metrictest.EveryKind(3), source)
	}
}

func TestCopyFromKeepsUnknownKindsAsTheyAre(t *testing.T) {
	odd := weird{twoKnownPoints().(metricdata.Gauge[int64])}
	rm := collectionWith(twoKnownPoints(), odd, nil, twoKnownPoints(), odd)
	for n, left := range map[int]int{1: 2, 2: 2, 3: 1, 4: 1, 5: 1} {
		var found int
		for _, metric := range batch.CopyFrom(nil, rm, n).ScopeMetrics[0].Metrics {
			if _, is := metric.Data.(weird); is {
				requireSameWhole(t, odd, metric.Data)
				found++
			}
		}
		require.Equal(t, left, found, "without the first %d", n)
	}
}
