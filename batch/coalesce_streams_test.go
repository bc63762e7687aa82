package batch_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// point returns a point of one of the series, whose value tells it from others.
func point(index, from, to int, value int64) metricdata.DataPoint[int64] {
	p := number(from, to, value)
	p.Attributes = series[index]
	return p
}

// scopes returns a collection of the given scopes.
func scopes(all ...metricdata.ScopeMetrics) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{ScopeMetrics: all}
}

// metrics returns a collection of one scope with the given metrics.
func metrics(all ...metricdata.Metrics) *metricdata.ResourceMetrics {
	return scopes(metricdata.ScopeMetrics{Metrics: all})
}

func TestCoalesceTakesTheNewerOrderAndPutsWhatIsOlderInFrontOfIt(t *testing.T) {
	scope := func(name string, all ...metricdata.Metrics) metricdata.ScopeMetrics {
		return metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: name}, Metrics: all}
	}
	metric := func(name string, points ...metricdata.DataPoint[int64]) metricdata.Metrics {
		return metricdata.Metrics{Name: name, Data: sum(delta, points...)}
	}
	requireCoalesced(t,
		scopes(
			scope("b", metric("y", point(3, 0, 1, 1), point(0, 0, 1, 2), point(2, 0, 1, 3)), metric("x", point(0, 0, 1, 4))),
			scope("d", metric("x", point(0, 0, 1, 5))),
			scope("a", metric("x", point(0, 0, 1, 6))),
		),
		scopes(
			scope("c", metric("z", point(1, 1, 2, 10), point(0, 1, 2, 20))),
			scope("a", metric("w", point(0, 1, 2, 30)), metric("x", point(0, 1, 2, 40)), metric("v", point(0, 1, 2, 50))),
			scope("b", metric("y", point(4, 1, 2, 60), point(2, 1, 2, 70), point(1, 1, 2, 80), point(3, 1, 2, 90))),
			scope("0"),
		),
		scopes(
			scope("d", metric("x", point(0, 0, 1, 5))),
			scope("c", metric("z", point(1, 1, 2, 10), point(0, 1, 2, 20))),
			scope("a", metric("w", point(0, 1, 2, 30)), metric("x", point(0, 0, 2, 46)), metric("v", point(0, 1, 2, 50))),
			scope("b", metric("x", point(0, 0, 1, 4)),
				metric("y", point(0, 0, 1, 2), point(4, 1, 2, 60), point(2, 0, 2, 73), point(1, 1, 2, 80), point(3, 0, 2, 91))),
			scope("0"),
		))
}

func TestCoalescePutsOlderPointsThatStayInFrontOfTheNewerOnes(t *testing.T) {
	requireJoined(t,
		sum(cumulative, point(0, 0, 1, 1), point(1, 0, 1, 2), point(2, 0, 1, 3), point(3, 0, 1, 4)),
		sum(cumulative, point(4, 0, 2, 5), point(2, 1, 2, 6), point(1, 0, 2, 7), point(0, 1, 2, 8)),
		sum(cumulative, point(0, 0, 1, 1), point(2, 0, 1, 3), point(3, 0, 1, 4),
			point(4, 0, 2, 5), point(2, 1, 2, 6), point(1, 0, 2, 7), point(0, 1, 2, 8)))
}

func TestCoalesceJoinsOnlyTheNeighboursOfASeriesThatOccursTwice(t *testing.T) {
	requireJoined(t,
		sum(delta, point(0, 0, 1, 1), point(1, 0, 1, 5), point(0, 1, 2, 10)),
		sum(delta, point(0, 2, 3, 100), point(0, 3, 4, 1000)),
		sum(delta, point(0, 0, 1, 1), point(1, 0, 1, 5), point(0, 1, 3, 110), point(0, 3, 4, 1000)))
}

// The SDK has two metrics of one stream where two instruments of one name have
// different descriptions, or one is a Counter and the other an
// ObservableCounter.
func TestCoalesceJoinsStreamsThatOccurTwiceInTheirOrder(t *testing.T) {
	metric := func(from, to int, value int64) metricdata.Metrics {
		return metricdata.Metrics{Name: "x", Data: sum(delta, point(0, from, to, value))}
	}
	requireCoalesced(t,
		metrics(metric(0, 1, 1), metric(0, 1, 10)),
		metrics(metric(1, 2, 100), metric(1, 2, 1000), metric(1, 2, 5)),
		metrics(metric(0, 2, 101), metric(0, 2, 1010), metric(1, 2, 5)))

	scope := func(all ...metricdata.Metrics) metricdata.ScopeMetrics { return metricdata.ScopeMetrics{Metrics: all} }
	requireCoalesced(t,
		scopes(scope(metric(0, 1, 1)), scope(metric(0, 1, 10))),
		scopes(scope(metric(1, 2, 100)), scope(metric(1, 2, 1000))),
		scopes(scope(metric(0, 2, 101), metric(0, 2, 1010))))
}

func TestCoalesceTellsStreamsApart(t *testing.T) {
	all := unlikeStreams()
	for i := range all {
		for j := range all {
			if i != j {
				requireCoalesced(t, metrics(all[i]), metrics(all[j]), metrics(all[i], all[j]))
			}
		}
	}
}

// unlikeStreams returns metrics none of which is of the same stream.
func unlikeStreams() []metricdata.Metrics {
	one := number[int64](0, 1, 1)
	gauge := metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{one}}
	base := metricdata.Metrics{Name: "x", Unit: "By", Data: sum(delta, one)}
	with := func(change func(*metricdata.Metrics)) metricdata.Metrics {
		m := base
		change(&m)
		return m
	}
	return []metricdata.Metrics{
		base,
		with(func(m *metricdata.Metrics) { m.Name = "y" }),
		with(func(m *metricdata.Metrics) { m.Unit = "1" }),
		with(func(m *metricdata.Metrics) { m.Data = sum(cumulative, one) }),
		with(func(m *metricdata.Metrics) { m.Data = sum(delta, number(0, 1, 1.0)) }),
		with(func(m *metricdata.Metrics) {
			m.Data = metricdata.Sum[int64]{DataPoints: gauge.DataPoints, Temporality: delta}
		}),
		with(func(m *metricdata.Metrics) { m.Data = gauge }),
		with(func(m *metricdata.Metrics) { m.Data = histogram(delta, buckets[int64](0, 1, 1, 1, 0, 0)) }),
		with(func(m *metricdata.Metrics) { m.Data = histogram(cumulative, buckets[int64](0, 1, 1, 1, 0, 0)) }),
		with(func(m *metricdata.Metrics) { m.Data = exponential(delta, scaled[int64](0, 1, 0, 0, 1)) }),
		with(func(m *metricdata.Metrics) { m.Data = exponential(cumulative, scaled[int64](0, 1, 0, 0, 1)) }),
	}
}

func TestCoalesceTellsScopesApart(t *testing.T) {
	content := []metricdata.Metrics{{Name: "x", Data: sum(delta, number[int64](0, 1, 1))}}
	for i, a := range streamScopes {
		for j, b := range append(streamScopes, instrumentation.Scope{Name: "other"}) {
			if i != j {
				older, newer := metricdata.ScopeMetrics{Scope: a, Metrics: content}, metricdata.ScopeMetrics{Scope: b, Metrics: content}
				requireCoalesced(t, scopes(older), scopes(newer), scopes(older, newer))
			}
		}
	}
}

func TestCoalesceTakesNoNoticeOfTheOrderOfAttributes(t *testing.T) {
	a, b := attribute.String("a", "1"), attribute.String("b", "2")
	scope := func(from, to int, value int64, attrs ...attribute.KeyValue) *metricdata.ResourceMetrics {
		p := number(from, to, value)
		p.Attributes = attribute.NewSet(attrs...)
		return scopes(metricdata.ScopeMetrics{
			Scope:   instrumentation.Scope{Attributes: attribute.NewSet(attrs...)},
			Metrics: []metricdata.Metrics{{Data: sum(delta, p)}},
		})
	}
	requireCoalesced(t, scope(0, 1, 1, a, b), scope(1, 2, 2, b, a), scope(0, 2, 3, a, b))
}

// A zero set and an empty one are the same series.
func TestCoalesceTakesAMissingSetOfAttributesForAnEmptyOne(t *testing.T) {
	older, newer, want := number[int64](0, 1, 1), number[int64](1, 2, 2), number[int64](0, 2, 3)
	older.Attributes, newer.Attributes, want.Attributes = attribute.Set{}, *attribute.EmptySet(), *attribute.EmptySet()
	requireJoined(t, sum(delta, older), sum(delta, newer), sum(delta, want))
}

// withHash returns the attributes with another hash than their own.
func withHash(set attribute.Set, hash uint64) attribute.Set {
	field := reflect.ValueOf(&set).Elem().FieldByName("hash")
	reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem().SetUint(hash)
	return set
}

func TestCoalesceTellsAttributesOfTheSameHashApart(t *testing.T) {
	a, b := point(0, 0, 1, 1), point(1, 1, 2, 2)
	a.Attributes, b.Attributes = withHash(a.Attributes, 42), withHash(b.Attributes, 42)
	require.Equal(t, a.Attributes.Equivalent(), b.Attributes.Equivalent())
	requireJoined(t, sum(delta, a), sum(delta, b), sum(delta, a, b))
}

// Of two instruments of one name the first may be missing from a collection;
// then the second one must not be taken for it.
func TestCoalesceTellsInstrumentsOfOneStreamApart(t *testing.T) {
	metric := func(description string, from, to int, value int64) metricdata.Metrics {
		return metricdata.Metrics{Name: "x", Description: description, Data: sum(delta, number(from, to, value))}
	}
	requireCoalesced(t,
		metrics(metric("a", 0, 1, 1), metric("b", 0, 1, 10)),
		metrics(metric("b", 1, 2, 20)),
		metrics(metric("a", 0, 1, 1), metric("b", 0, 2, 30)))
}

func TestCoalesceKeepsUnknownKindsOfBoth(t *testing.T) {
	gauge := twoKnownPoints().(metricdata.Gauge[int64])
	older, newer := collectionWith(weird{gauge}, gauge, &metricdata.Sum[int64]{}), collectionWith(weird{gauge}, gauge, weird{})
	var buffer batch.Buffer
	for range 3 {
		got := batch.Coalesce(&buffer, older, newer).ScopeMetrics[0].Metrics
		require.Len(t, got, 5)
		requireSameWhole(t, older.ScopeMetrics[0].Metrics[0].Data, got[0].Data)
		requireSameWhole(t, older.ScopeMetrics[0].Metrics[2].Data, got[1].Data)
		requireSameWhole(t, newer.ScopeMetrics[0].Metrics[0].Data, got[2].Data)
		requireSameWhole(t, newer.ScopeMetrics[0].Metrics[2].Data, got[4].Data)
		require.Equal(t, 4+3, buffer.Points()) // see TestCoalesceJoinsOnlyTheNeighboursOfASeriesThatOccursTwice
	}
	require.Equal(t, 4, batch.Points(batch.Coalesce(nil, metrics(older.ScopeMetrics[0].Metrics[0], older.ScopeMetrics[0].Metrics[2]),
		metrics(older.ScopeMetrics[0].Metrics[0], older.ScopeMetrics[0].Metrics[2]))))
}

func TestCoalesceOfACollectionWithItselfKeepsUnknownKindsTwice(t *testing.T) {
	rm := collectionWith(weird{}, &metricdata.Sum[int64]{})
	require.Equal(t, 4, batch.Points(batch.Coalesce(nil, rm, rm)))
}

func TestCoalesceOfNothing(t *testing.T) {
	nothing := scopes()
	full := scopes(metrictest.EveryKind(2).ScopeMetrics...)
	full.Resource = nothing.Resource
	requireCoalesced(t, nothing, full, full)
	requireCoalesced(t, full, nothing, full)
	requireCoalesced(t, scopes([]metricdata.ScopeMetrics{}...), scopes([]metricdata.ScopeMetrics{}...), scopes([]metricdata.ScopeMetrics{}...))

	gauge := metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{number[int64](0, 1, 1)}}
	empty := metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{}}
	requireCoalesced(t, collectionWith(nil, nil, gauge), collectionWith(nil, gauge, empty), metrics(
		metricdata.Metrics{Name: "b"}, metricdata.Metrics{Name: "a"}, metricdata.Metrics{Name: "b", Data: gauge}, metricdata.Metrics{Name: "c", Data: gauge}))
}

func TestCoalesceOfAnyShapeSharesNothingAndKeepsItsInputs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := shapes.Draw(t, "shape")
		other := append([]byte(nil), shape...)
		if rapid.Bool().Draw(t, "different") {
			other[rapid.IntRange(0, len(other)-1).Draw(t, "at")]++
		}
		var buffer batch.Buffer
		for range rapid.IntRange(1, 3).Draw(t, "fills") {
			older, newer := collectionOf(shape), collectionOf(other)
			got := batch.Coalesce(&buffer, older, newer)
			requireEqual(t, batch.Coalesce(nil, older, newer), got)
			require.Len(t, loosePoints(got), buffer.Points())
			requireOwnMemory(t, got)
			requireNothingShared(t, older, got)
			requireNothingShared(t, newer, got)
			requireClean(t, &buffer)
			scribble(got)
			requireEqual(t, collectionOf(shape), older)
			requireEqual(t, collectionOf(other), newer)
			shape, other = other, shape
		}
	})
}
