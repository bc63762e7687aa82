package batch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestAppendSeriesGivesEqualIdsToTheSameSeriesOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id, key := map[string]uint64{}, map[uint64]string{}
		for _, rm := range drawStream(t, false, 1) {
			ids := batch.AppendSeries(nil, rm)
			points := loosePoints(rm)
			require.Len(t, ids, len(points))
			for i, point := range points {
				series := seriesKey(point)
				if _, known := id[series]; !known {
					id[series] = ids[i]
				}
				require.Equal(t, id[series], ids[i])
				if _, known := key[ids[i]]; !known {
					key[ids[i]] = series
				}
				require.Equal(t, key[ids[i]], series)
			}
		}
	})
}

func TestAppendSeriesTellsStreamsAndScopesApart(t *testing.T) {
	var all []metricdata.ScopeMetrics
	for _, scope := range streamScopes {
		all = append(all, metricdata.ScopeMetrics{Scope: scope, Metrics: unlikeStreams()})
	}
	seen := map[uint64]bool{}
	ids := batch.AppendSeries(nil, scopes(all...))
	for _, id := range ids {
		seen[id] = true
	}
	assert.Len(t, ids, len(streamScopes)*len(unlikeStreams()))
	assert.Len(t, seen, len(ids))
}

func TestAppendSeriesTakesNoNoticeOfDescriptionsAndOfTheResource(t *testing.T) {
	a, b := metrictest.EveryKind(2), metrictest.EveryKind(2)
	b.Resource = nil
	for _, scope := range b.ScopeMetrics {
		for i := range scope.Metrics {
			scope.Metrics[i].Description += "!"
		}
	}
	assert.Equal(t, batch.AppendSeries(nil, a), batch.AppendSeries(nil, b))
}

func TestAppendSeriesGivesEachUnknownKindAnIdOfItsOwn(t *testing.T) {
	rm := collectionWith(weird{}, nil, weird{})
	ids := batch.AppendSeries(batch.AppendSeries([]uint64{7}, rm), rm)
	assert.Len(t, ids, 5)
	assert.EqualValues(t, 7, ids[0])
	seen := map[uint64]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	assert.Len(t, seen, 5)
}

func TestAppendSeriesAllocatesNothingIfThereIsRoom(t *testing.T) {
	rm := metrictest.EveryKind(10)
	ids := batch.AppendSeries(nil, rm)
	assert.Zero(t, testing.AllocsPerRun(10, func() { ids = batch.AppendSeries(ids[:0], rm) }))
}

func BenchmarkAppendSeries(b *testing.B) {
	rm := metrictest.Mixed(10_000)
	var ids []uint64
	for b.Loop() {
		ids = batch.AppendSeries(ids[:0], rm)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ids)), "ns/point")
}
