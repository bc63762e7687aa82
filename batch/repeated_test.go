package batch_test

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	otelmetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// naiveHasRepeatedSeries does what HasRepeatedSeries does, in the obvious way.
func naiveHasRepeatedSeries(rm *metricdata.ResourceMetrics) bool {
	scopes := namer{}
	for _, scope := range rm.ScopeMetrics {
		if _, known := scopes.place(scopeName(scope.Scope)); known {
			return true
		}
		streams := namer{}
		for _, metric := range scope.Metrics {
			name, _ := streamName(metric)
			if _, known := streams.place(name); known {
				return true
			}
			if !slices.Contains(knownKinds, reflect.TypeOf(metric.Data)) {
				continue
			}
			seen := map[string]bool{}
			_, points := bare(metric)
			for _, point := range points {
				set := reflect.ValueOf(point).FieldByName("Attributes").Interface().(attribute.Set)
				encoded := set.Encoded(attribute.DefaultEncoder())
				if seen[encoded] {
					return true
				}
				seen[encoded] = true
			}
		}
	}
	return false
}

func TestHasRepeatedSeriesIsThatOfASimpleOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		collections := sequenceOf(shapes.Draw(t, "shape"), rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "changes"))
		for _, rm := range append(collections, batch.Merge(nil, collections...)) {
			before := batch.Copy(nil, rm)
			require.Equal(t, naiveHasRepeatedSeries(rm), batch.HasRepeatedSeries(rm))
			requireEqual(t, before, rm)
		}
		stream := drawStream(t, false, 1)
		for _, rm := range append(stream, coalesceAll(stream, func(int) int { return 0 })) {
			require.Equal(t, naiveHasRepeatedSeries(rm), batch.HasRepeatedSeries(rm))
		}
	})
}

func TestHasRepeatedSeriesFindsARepetitionInEveryKindAndPlace(t *testing.T) {
	const points = 40
	for _, kind := range knownKinds {
		for _, at := range []int{1, points / 2, points - 1} {
			data := reflect.New(kind).Elem()
			field := data.FieldByName("DataPoints")
			field.Set(reflect.MakeSlice(field.Type(), points, points))
			for i, set := range metrictest.Series(points) {
				field.Index(i).FieldByName("Attributes").Set(reflect.ValueOf(set))
			}
			rm := collectionWith(twoSeries(), data.Interface().(metricdata.Aggregation))
			require.False(t, batch.HasRepeatedSeries(rm), kind)
			field.Index(at).FieldByName("Attributes").Set(field.Index(at / 3).FieldByName("Attributes"))
			require.True(t, batch.HasRepeatedSeries(rm), "%s at %d", kind, at)
			rm.ScopeMetrics = append(metrictest.EveryKind(3).ScopeMetrics, rm.ScopeMetrics...)
			require.True(t, batch.HasRepeatedSeries(rm), "%s at %d", kind, at)
		}
	}
}

func twoSeries() metricdata.Aggregation { return sum(delta, point(0, 0, 1, 1), point(1, 0, 1, 1)) }

func TestHasRepeatedSeriesTakesNoNoticeOfASeriesInAnotherStream(t *testing.T) {
	assert.False(t, batch.HasRepeatedSeries(metrictest.EveryKind(3)))
	assert.False(t, batch.HasRepeatedSeries(collectionWith(twoSeries(), twoSeries())))
	x := named("x", point(0, 0, 1, 1))
	assert.True(t, batch.HasRepeatedSeries(metrics(x, x)), "two instruments of one stream")
	assert.True(t, batch.HasRepeatedSeries(scopes(metricdata.ScopeMetrics{}, metricdata.ScopeMetrics{})), "two of one scope")
}

func TestHasRepeatedSeriesTakesEqualAttributesForOneSeries(t *testing.T) {
	a, b := attribute.String("a", "1"), attribute.String("b", "2")
	with := func(one, other attribute.Set) *metricdata.ResourceMetrics {
		p, q := point(0, 0, 1, 1), point(0, 1, 2, 2)
		p.Attributes, q.Attributes = one, other
		return collectionWith(sum(delta, p, q))
	}
	assert.True(t, batch.HasRepeatedSeries(with(attribute.NewSet(a, b), attribute.NewSet(b, a))))
	assert.True(t, batch.HasRepeatedSeries(with(attribute.Set{}, *attribute.EmptySet())))
	assert.False(t, batch.HasRepeatedSeries(with(attribute.NewSet(a), attribute.NewSet(a, b))))
	assert.False(t, batch.HasRepeatedSeries(with(attribute.NewSet(), attribute.NewSet(a))))
	assert.True(t, batch.HasRepeatedSeries(with(withHash(series[0], 42), withHash(series[1], 42))), "in doubt")
}

func TestHasRepeatedSeriesOfWhatIsMerged(t *testing.T) {
	a, b := metrictest.EveryKind(3), afterAReset(metrictest.EveryKind(3), 1)
	assert.True(t, batch.HasRepeatedSeries(batch.Merge(nil, a, b)))
	assert.False(t, batch.HasRepeatedSeries(batch.Merge(nil, a)))
	assert.False(t, batch.HasRepeatedSeries(batch.Merge(nil, metrictest.Numbers(30, 1), metrictest.Histograms(30))))
	assert.False(t, batch.HasRepeatedSeries(batch.Merge(nil,
		collectionWith(sum(delta, point(0, 0, 1, 1))), collectionWith(sum(delta, point(1, 1, 2, 1))))))
}

func TestHasRepeatedSeriesOfWhatIsCoalesced(t *testing.T) {
	before := collectionWith(sum(cumulative, point(0, 0, 1, 1), point(1, 0, 1, 1)))
	after := collectionWith(sum(cumulative, point(1, 0, 2, 2)))
	reset := collectionWith(sum(cumulative, point(1, 1, 2, 2)))
	assert.False(t, batch.HasRepeatedSeries(batch.Coalesce(nil, before, after)))
	assert.True(t, batch.HasRepeatedSeries(batch.Coalesce(nil, before, reset)))
}

func TestHasRepeatedSeriesOfNothingAndOfUnknownKindsIsFalse(t *testing.T) {
	twice := []metricdata.DataPoint[int64]{point(0, 0, 1, 1), point(0, 1, 2, 1)}
	for _, rm := range []*metricdata.ResourceMetrics{
		nil, {}, {ScopeMetrics: make([]metricdata.ScopeMetrics, 1)},
		collectionWith(nil, nil, metricdata.Gauge[int64]{}, metricdata.Summary{}),
		collectionWith(weird{metricdata.Gauge[int64]{DataPoints: twice}}, &metricdata.Sum[int64]{DataPoints: twice}),
	} {
		assert.False(t, batch.HasRepeatedSeries(rm))
	}
	unknown := metricdata.Metrics{Name: "x", Data: &metricdata.Sum[int64]{}}
	assert.True(t, batch.HasRepeatedSeries(metrics(unknown, unknown)), "two of one name, of which nothing is known")
}

func TestHasRepeatedSeriesFindsNothingInWhatTheSDKCollects(t *testing.T) {
	ctx := context.Background()
	for _, temporality := range []metricdata.Temporality{delta, cumulative} {
		reader := metric.NewManualReader(metric.WithTemporalitySelector(
			func(metric.InstrumentKind) metricdata.Temporality { return temporality }))
		meter := metric.NewMeterProvider(metric.WithReader(reader), metric.WithCardinalityLimit(30)).Meter("metrictest")
		counter, err := meter.Int64Counter("counter")
		require.NoError(t, err)
		histogram, err := meter.Float64Histogram("histogram")
		require.NoError(t, err)
		_, err = meter.Int64ObservableGauge("gauge", otelmetric.WithInt64Callback(
			func(_ context.Context, o otelmetric.Int64Observer) error {
				for i, set := range append(series, series...) { // the later one counts
					o.Observe(int64(i), otelmetric.WithAttributeSet(set))
				}
				return nil
			}))
		require.NoError(t, err)
		for range 3 {
			for _, set := range append(metrictest.Series(50), series...) { // more than the limit
				counter.Add(ctx, 1, otelmetric.WithAttributeSet(set))
				histogram.Record(ctx, 1, otelmetric.WithAttributeSet(set))
			}
			var rm metricdata.ResourceMetrics
			require.NoError(t, reader.Collect(ctx, &rm))
			require.Equal(t, 30+30+5, batch.Points(&rm))
			assert.False(t, batch.HasRepeatedSeries(&rm))
		}
	}
}

func TestHasRepeatedSeriesAllocatesNothing(t *testing.T) {
	large, small := metrictest.Mixed(3000), metrictest.EveryKind(3)
	repeats := func() { batch.HasRepeatedSeries(large); batch.HasRepeatedSeries(small) }
	repeats()
	assert.Zero(t, leastAllocs(repeats))
}

func TestHasRepeatedSeriesMayRunConcurrently(t *testing.T) {
	without := metrictest.EveryKind(30)
	with := batch.Merge(nil, without, without)
	results := make(chan bool)
	for i := range 8 {
		go func() {
			same := true
			for range 10 {
				same = same && !batch.HasRepeatedSeries(without) && batch.HasRepeatedSeries(with)
				batch.Coalesce(nil, metrictest.EveryKind(i), without) // has the same memory
			}
			results <- same
		}()
	}
	for range 8 {
		assert.True(t, <-results)
	}
}
