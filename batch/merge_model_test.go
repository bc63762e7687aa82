package batch_test

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/batch"
)

// requireMerged requires that the collections become want, in new and in reused
// memory, and that the result shares nothing with them and leaves them as they
// were.
func requireMerged(t testingT, buffer *batch.Buffer, want *metricdata.ResourceMetrics, collections ...*metricdata.ResourceMetrics) {
	t.Helper()
	var before []*metricdata.ResourceMetrics
	points := 0
	for _, rm := range collections {
		before = append(before, batch.Copy(nil, rm))
		points += len(loosePoints(rm))
	}
	for _, dst := range []*batch.Buffer{nil, buffer, buffer, buffer} {
		got := batch.Merge(dst, collections...)
		requireEqual(t, want, got)
		require.Equal(t, points, batch.Points(got))
		requireOwnMemory(t, got)
		for _, rm := range collections {
			requireNothingShared(t, rm, got)
		}
		if dst != nil {
			require.Same(t, got, buffer.Collection())
			require.Equal(t, points, buffer.Points())
			requireClean(t, buffer)
		}
		scribble(got)
		for i := range collections {
			requireEqual(t, before[i], collections[i])
		}
	}
}

// naiveMerge is Merge in the obvious way, by reflection and without copying.
func naiveMerge(collections ...*metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	if len(collections) == 1 {
		return collections[0]
	}
	merged := &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{}}
	scopes := namer{}
	metrics := map[int]namer{} // of each scope
	for _, rm := range collections {
		merged.Resource = rm.Resource
		for _, scope := range rm.ScopeMetrics {
			s := scope.Scope
			i, known := scopes.place(scopeName(s))
			if !known {
				merged.ScopeMetrics = append(merged.ScopeMetrics, metricdata.ScopeMetrics{Scope: s})
				metrics[i] = namer{}
			}
			merged.ScopeMetrics[i].Metrics = naiveMergeMetrics(metrics[i], merged.ScopeMetrics[i].Metrics, scope.Metrics)
		}
	}
	return merged
}

func naiveMergeMetrics(names namer, merged, newer []metricdata.Metrics) []metricdata.Metrics {
	merged = append([]metricdata.Metrics{}, merged...) // not nil
	for _, metric := range newer {
		name, unknown := streamName(metric)
		if unknown {
			name = fmt.Sprint("unknown ", len(names))
		}
		i, known := names.place(name)
		if !known {
			merged = append(merged, metric)
			continue
		}
		older := merged[i].Data
		merged[i] = metric
		if metric.Data != nil {
			merged[i].Data = withPointsBefore(older, metric.Data)
		}
	}
	return merged
}

// streamName is equal for metrics of one stream.
func streamName(m metricdata.Metrics) (name string, unknown bool) {
	rest, _ := bare(m)
	unknown = m.Data != nil && rest.Data == nil
	kind := fmt.Sprintf("%T %+v", m.Data, rest.Data)
	if unknown {
		kind = "unknown"
	}
	return fmt.Sprintf("%q %q %s", m.Name, m.Unit, kind), unknown
}

func scopeName(s instrumentation.Scope) string {
	return fmt.Sprintf("%q %q %q %s", s.Name, s.Version, s.SchemaURL, s.Attributes.Encoded(attribute.DefaultEncoder()))
}

func withPointsBefore(older, newer metricdata.Aggregation) metricdata.Aggregation {
	both := reflect.New(reflect.TypeOf(newer)).Elem()
	both.Set(reflect.ValueOf(newer))
	points := both.FieldByName("DataPoints")
	all := reflect.MakeSlice(points.Type(), 0, 0)
	all = reflect.AppendSlice(all, reflect.ValueOf(older).FieldByName("DataPoints"))
	points.Set(reflect.AppendSlice(all, points))
	return both.Interface().(metricdata.Aggregation)
}

// A namer gives each name a place.
type namer map[string]int

func (n namer) place(name string) (place int, known bool) {
	if place, known = n[name]; !known {
		place = len(n)
		n[name] = place
	}
	return place, known
}

// sequenceOf makes collections that have much in common: the first one of the
// shape, and another one for each change of it. The same arguments give equal
// data that shares no memory with other results; the points are all different.
func sequenceOf(shape, changes []byte) []*metricdata.ResourceMetrics {
	shape = slices.Clone(shape)
	all := []*metricdata.ResourceMetrics{commonCollection(&filler{shape: shape})}
	for i, change := range changes[:min(len(changes), 6)] {
		if len(shape) > 0 && change > 0 {
			shape[int(change)%len(shape)] += change/32 + 1
		}
		all = append(all, commonCollection(&filler{shape: shape, serial: 10_007 * (i + 1)}))
	}
	return all
}

// commonCollection makes a collection of a few scopes and streams, some of
// which occur several times in it.
func commonCollection(f *filler) *metricdata.ResourceMetrics {
	rm := &metricdata.ResourceMetrics{
		Resource:     resource.NewSchemaless(attribute.Int("serial", f.serial)),
		ScopeMetrics: some[metricdata.ScopeMetrics](f.next(5)),
	}
	for i := range rm.ScopeMetrics {
		rm.ScopeMetrics[i].Scope = streamScopes[f.next(len(streamScopes))]
		rm.ScopeMetrics[i].Metrics = some[metricdata.Metrics](f.next(7))
		for j := range rm.ScopeMetrics[i].Metrics {
			rm.ScopeMetrics[i].Metrics[j] = metricdata.Metrics{
				Name: []string{"x", "x", "y"}[f.next(3)], Description: fmt.Sprint(f.serial), Unit: []string{"1", "By"}[f.next(2)],
				Data: f.commonData(),
			}
		}
	}
	return rm
}

// commonData returns data of any kind, with points of a few series.
func (f *filler) commonData() metricdata.Aggregation {
	data := f.aggregation(f.next(len(knownKinds) + 3))
	if !slices.Contains(knownKinds, reflect.TypeOf(data)) {
		return data
	}
	v := reflect.New(reflect.TypeOf(data)).Elem()
	v.Set(reflect.ValueOf(data))
	if field := v.FieldByName("Temporality"); field.IsValid() {
		field.Set(reflect.ValueOf([]metricdata.Temporality{delta, cumulative}[f.next(2)]))
	}
	if field := v.FieldByName("IsMonotonic"); field.IsValid() {
		field.SetBool(f.next(2) == 0)
	}
	points := v.FieldByName("DataPoints")
	for i := range points.Len() {
		points.Index(i).FieldByName("Attributes").Set(reflect.ValueOf(series[f.detail(len(series))]))
	}
	return v.Interface().(metricdata.Aggregation)
}
