package batch_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
)

func TestRetainLeavesThePointsThatAreKeptOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rm := batch.Copy(nil, collectionOf(shapes.Draw(t, "shape")))
		all := loosePoints(batch.Copy(nil, rm))
		kept := rapid.SliceOfN(rapid.Bool(), len(all), len(all)).Draw(t, "kept")
		want := all[:0:0]
		for i, p := range all {
			if kept[i] {
				want = append(want, p)
			}
		}
		asked := 0
		batch.Retain(rm, func(i int) bool {
			require.Equal(t, asked, i)
			asked++
			return kept[i]
		})
		require.Equal(t, len(all), asked, "once for each point")
		require.Equal(t, len(want), batch.Points(rm))
		if len(want) > 0 {
			require.Equal(t, want, loosePoints(rm))
		}
		requireNothingEmptyOrTwice(t, rm)
	})
}

func TestCutPartsHaveTogetherWhatThePartHad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rm := collectionOf(shapes.Draw(t, "shape"))
		whole := batch.Whole(rm)
		require.Equal(t, batch.Points(rm), whole.Points())
		n := rapid.IntRange(-1, whole.Points()+1).Draw(t, "n")
		head, tail := whole.Cut(n)
		require.Equal(t, max(0, min(n, whole.Points())), head.Points())
		require.Equal(t, whole.Points(), head.Points()+tail.Points())
		var got []any
		for _, p := range []batch.Part{head, tail} {
			if p.Points() == 0 {
				continue
			}
			first, rest := p.Cut(p.Points() / 2)
			for _, q := range []batch.Part{first, rest} {
				if q.Points() > 0 {
					got = append(got, loose(q.Copy(nil))...)
				}
			}
		}
		require.Equal(t, loose(rm), got)
	})
}

// loose returns the points of a collection as values of any type.
func loose(rm *metricdata.ResourceMetrics) (all []any) {
	for _, p := range loosePoints(rm) {
		all = append(all, p)
	}
	return all
}
