package batch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// named returns a metric of delta sums whose values tell the points apart.
func named(name string, points ...metricdata.DataPoint[int64]) metricdata.Metrics {
	return metricdata.Metrics{Name: name, Data: sum(delta, points...)}
}

func TestMergeKeepsEveryPointOfASeriesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		collections := drawStream(t, true, 1)
		got := batch.Merge(nil, collections...)
		want, have := totalsOf(collections...), totalsOf(got)
		require.Len(t, have, len(want))
		for key := range want {
			require.Equal(t, want[key].points, have[key].points, key)
		}
	})
}

func TestMergeOrdersByFirstAppearance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		collections := drawStream(t, false, 2)
		require.Equal(t, firstAppearances(collections...), firstAppearances(batch.Merge(nil, collections...)))
	})
}

func TestMergeIsThatOfASimpleOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var buffer batch.Buffer
		for range rapid.IntRange(1, 3).Draw(t, "fills") {
			collections := sequenceOf(shapes.Draw(t, "shape"), rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "changes"))
			requireMerged(t, &buffer, naiveMerge(collections...), collections...)
		}
	})
}

func TestMergeHasTheScopesAndMetricsInTheOrderOfTheirFirstOccurrence(t *testing.T) {
	scope := func(name string, all ...metricdata.Metrics) metricdata.ScopeMetrics {
		return metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: name}, Metrics: all}
	}
	requireMerged(t, new(batch.Buffer),
		scopes(
			scope("b", named("y", point(1, 0, 1, 1), point(0, 0, 1, 2), point(0, 1, 2, 3), point(2, 2, 3, 4)), named("x", point(0, 0, 1, 5)),
				named("w", point(0, 1, 2, 6), point(0, 2, 3, 7))),
			scope("a", named("x", point(0, 0, 1, 8), point(0, 2, 3, 9))),
			scope("c", []metricdata.Metrics{}...),
			scope("d", named("x", point(0, 2, 3, 10))),
		),
		scopes(
			scope("b", named("y", point(1, 0, 1, 1), point(0, 0, 1, 2)), named("x", point(0, 0, 1, 5))),
			scope("a", named("x", point(0, 0, 1, 8))),
		),
		scopes(
			scope("c"),
			scope("b", named("w", point(0, 1, 2, 6)), named("y", point(0, 1, 2, 3))),
		),
		scopes(
			scope("d", named("x", point(0, 2, 3, 10))),
			scope("a", named("x", point(0, 2, 3, 9))),
			scope("b", named("w", point(0, 2, 3, 7)), named("y", point(2, 2, 3, 4))),
		))
}

// The SDK has two metrics of one stream where instruments differ in their
// description. One of them may be missing from a collection, so only all of them
// together have their points in order.
func TestMergeMakesOneMetricOfAStreamThatOccursTwice(t *testing.T) {
	x := func(points ...int64) metricdata.Metrics {
		var all []metricdata.DataPoint[int64]
		for _, value := range points {
			all = append(all, point(0, 0, 1, value))
		}
		return named("x", all...)
	}
	y := named("y", point(0, 0, 1, 0))
	yy := named("y", point(0, 0, 1, 0), point(0, 0, 1, 0))
	requireMerged(t, new(batch.Buffer),
		metrics(x(1, 2, 3, 4, 5, 6, 7)),
		metrics(x(1), x(2)), metrics(x(3), x(4)), metrics(x(5), x(6), x(7)))
	requireMerged(t, new(batch.Buffer),
		metrics(x(1, 2, 3), yy),
		metrics(x(1), y, x(2)), metrics(y, x(3)))
	requireMerged(t, new(batch.Buffer),
		metrics(yy, x(1, 2, 3)),
		metrics(y, x(1)), metrics(x(2), y, x(3)))

	scope := func(all ...metricdata.Metrics) metricdata.ScopeMetrics { return metricdata.ScopeMetrics{Metrics: all} }
	requireMerged(t, new(batch.Buffer),
		scopes(scope(x(1, 2, 3, 4))),
		scopes(scope(x(1)), scope(x(2))), scopes(scope(x(3)), scope(x(4))))
}

func TestMergeTellsStreamsApart(t *testing.T) {
	all := unlikeStreams()
	for i := range all {
		for j := range all {
			if i != j {
				requireMerged(t, new(batch.Buffer), metrics(all[i], all[j]), metrics(all[i]), metrics(all[j]))
			}
		}
	}
}

func TestMergeTellsScopesApart(t *testing.T) {
	var all []metricdata.ScopeMetrics
	var collections []*metricdata.ResourceMetrics
	for _, scope := range append(streamScopes, instrumentation.Scope{Name: "other"}) {
		all = append(all, metricdata.ScopeMetrics{Scope: scope, Metrics: []metricdata.Metrics{named("x", point(0, 0, 1, 1))}})
		collections = append(collections, scopes(all[len(all)-1]))
	}
	requireMerged(t, new(batch.Buffer), scopes(all...), collections...)
}

func TestMergeTakesTheNewestDescriptionAndResource(t *testing.T) {
	collection := func(description string) *metricdata.ResourceMetrics {
		metric := named("x", point(0, 0, 1, 1))
		metric.Description = description
		rm := metrics(metric)
		rm.Resource = resource.NewSchemaless(attribute.String("service.name", "x"))
		return rm
	}
	a, b, c := collection("old"), collection("newer"), collection("newest")
	got := batch.Merge(nil, a, b, c)
	assert.Equal(t, "newest", got.ScopeMetrics[0].Metrics[0].Description)
	assert.Same(t, c.Resource, got.Resource)
}

func TestMergeKeepsEachUnknownKindAsAMetricOfItsOwn(t *testing.T) {
	gauge := twoKnownPoints().(metricdata.Gauge[int64])
	a := collectionWith(weird{gauge}, gauge, &metricdata.Sum[int64]{})
	b := collectionWith(weird{gauge}, gauge, &metricdata.Sum[int64]{})
	var buffer batch.Buffer
	for range 3 {
		got := batch.Merge(&buffer, a, b, a).ScopeMetrics[0].Metrics
		require.Len(t, got, 7)
		for i, want := range []metricdata.Metrics{
			0: a.ScopeMetrics[0].Metrics[0], 2: a.ScopeMetrics[0].Metrics[2], 3: b.ScopeMetrics[0].Metrics[0],
			4: b.ScopeMetrics[0].Metrics[2], 5: a.ScopeMetrics[0].Metrics[0], 6: a.ScopeMetrics[0].Metrics[2],
		} {
			if i != 1 {
				assert.Equal(t, want.Name, got[i].Name)
				requireSameWhole(t, want.Data, got[i].Data)
			}
		}
		assert.Len(t, got[1].Data.(metricdata.Gauge[int64]).DataPoints, 6)
		assert.Equal(t, 12, buffer.Points())
	}
}

func TestMergeKeepsMissingDataOnce(t *testing.T) {
	gauge := metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{number[int64](0, 1, 1)}}
	requireMerged(t, new(batch.Buffer), metrics(
		metricdata.Metrics{Name: "a"}, metricdata.Metrics{Name: "b"}, metricdata.Metrics{Name: "b", Data: gauge},
	), collectionWith(nil, nil), collectionWith(nil, gauge), collectionWith(nil))
}

func TestMergeOfOneCollectionIsACopy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rm := collectionOf(shapes.Draw(t, "shape"))
		requireMerged(t, new(batch.Buffer), rm, rm)
	})
}

func TestMergeOfNothingIsEmpty(t *testing.T) {
	var buffer batch.Buffer
	batch.Merge(&buffer, metrictest.EveryKind(5), metrictest.EveryKind(5))
	requireMerged(t, &buffer, scopes([]metricdata.ScopeMetrics{}...))

	full, nothing := metrictest.EveryKind(2), &metricdata.ResourceMetrics{}
	nothing.Resource = full.Resource
	requireMerged(t, &buffer, full, nothing, full, nothing)
	requireMerged(t, &buffer, scopes(make([]metricdata.ScopeMetrics, 0)...), scopes(), scopes())
}

func TestMergeOfACollectionWithItselfHasItTwice(t *testing.T) {
	rm := metrictest.EveryKind(3)
	requireMerged(t, new(batch.Buffer), naiveMerge(rm, rm), rm, rm)
}

func TestMergeStoresEqualBoundsOnce(t *testing.T) {
	got := batch.Merge(nil, metrictest.Histograms(10), metrictest.Histograms(10), metrictest.Histograms(10))
	points := got.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints
	require.Len(t, points, 30)
	for i := range points {
		assert.Same(t, &points[0].Bounds[0], &points[i].Bounds[0])
	}
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add([]byte{4, 3, 3, 0, 0, 0, 3, 2}, []byte{0, 0})
	for kind := range byte(len(knownKinds) + 3) {
		f.Add([]byte{4, 2, 6, 0, 0, kind, 5, 0, 1, 0, 0, kind, 5, 0, 1, 1, 0, kind, 5}, []byte{0, 33, 90})
	}
	f.Fuzz(func(t *testing.T, shape, changes []byte) {
		collections := sequenceOf(shape, changes)
		if len(collections) == 1 { // copied, so nil stays nil
			collections = append(collections, scopes())
		}
		requireMerged(t, new(batch.Buffer), naiveMerge(collections...), collections...)
	})
}
