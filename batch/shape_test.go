package batch_test

import (
	"reflect"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// knownKinds are the types of aggregation that the SDK has.
var knownKinds = []reflect.Type{
	reflect.TypeFor[metricdata.Gauge[int64]](),
	reflect.TypeFor[metricdata.Gauge[float64]](),
	reflect.TypeFor[metricdata.Sum[int64]](),
	reflect.TypeFor[metricdata.Sum[float64]](),
	reflect.TypeFor[metricdata.Histogram[int64]](),
	reflect.TypeFor[metricdata.Histogram[float64]](),
	reflect.TypeFor[metricdata.ExponentialHistogram[int64]](),
	reflect.TypeFor[metricdata.ExponentialHistogram[float64]](),
	reflect.TypeFor[metricdata.Summary](),
}

// weird is an aggregation of a kind that the SDK does not have.
type weird struct{ metricdata.Gauge[int64] }

// shapes draws the shape of a collection; see collectionOf.
var shapes = rapid.SliceOfN(rapid.Byte(), 20, 60)

// collectionOf makes a collection whose scopes, metrics, kinds and numbers of
// points the bytes of shape decide. The same shape gives equal data that shares
// no memory with other results, and every value in it is another one.
func collectionOf(shape []byte) *metricdata.ResourceMetrics {
	f := &filler{shape: shape}
	rm := &metricdata.ResourceMetrics{
		Resource:     resource.NewSchemaless(attribute.Int("shape", len(shape))),
		ScopeMetrics: some[metricdata.ScopeMetrics](f.next(5)),
	}
	for i := range rm.ScopeMetrics {
		scope := &rm.ScopeMetrics[i]
		f.fill(reflect.ValueOf(&scope.Scope).Elem())
		scope.Metrics = some[metricdata.Metrics](f.next(7))
		for j := range scope.Metrics {
			f.fill(reflect.ValueOf(&scope.Metrics[j]).Elem())
		}
	}
	return rm
}

// some returns nil for 0, and otherwise choice-1 elements.
func some[T any](choice int) []T {
	if choice == 0 {
		return nil
	}
	return make([]T, choice-1)
}

// A filler fills values by reflection. It does not know their fields, so that
// one which a later SDK adds takes part in all tests at once.
type filler struct {
	shape  []byte    // decides the shape, as far as it goes
	serial int       // decides everything else
	bounds []float64 // the last ones
}

// next returns a number below limit that the shape decides. Small bytes, which
// rapid prefers, mean something and not nothing.
func (f *filler) next(limit int) int {
	if len(f.shape) == 0 {
		return 0
	}
	n := (int(f.shape[0]) + 3) % limit
	f.shape = f.shape[1:]
	return n
}

// detail returns a number below limit that follows no simple pattern.
func (f *filler) detail(limit int) int {
	f.serial++
	return int(uint32(f.serial)*2654435761>>16) % limit
}

func (f *filler) fill(v reflect.Value) {
	f.serial++
	switch to := v.Addr().Interface().(type) {
	case *metricdata.Aggregation:
		*to = f.aggregation(f.next(len(knownKinds) + 3))
		return
	case *[]float64:
		*to = f.someBounds()
		return
	case *time.Time:
		*to = metrictest.Epoch.Add(time.Duration(f.serial))
		return
	case *attribute.Set:
		*to = attribute.NewSet(attribute.Int("series", f.serial))
		return
	case *attribute.Value:
		*to = attribute.IntSliceValue([]int{f.serial, 1})
		return
	case *metricdata.Extrema[int64]:
		*to = metricdata.NewExtrema(int64(f.serial))
		return
	case *metricdata.Extrema[float64]:
		*to = metricdata.NewExtrema(float64(f.serial))
		return
	}
	f.fillKind(v)
}

func (f *filler) fillKind(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Slice:
		if choice := f.detail(4); choice > 0 {
			f.fillSlice(v, choice-1)
		}
	case reflect.String:
		v.SetString(time.Duration(f.serial).String())
	case reflect.Bool:
		v.SetBool(f.serial%2 == 0)
	case reflect.Float64:
		v.SetFloat(float64(f.serial))
	case reflect.Int64, reflect.Int32:
		v.SetInt(int64(f.serial))
	case reflect.Uint64, reflect.Uint8:
		v.SetUint(uint64(f.serial % 256))
	default:
		panic("batch_test: cannot fill a " + v.Type().String())
	}
}

func (f *filler) fillSlice(v reflect.Value, n int) {
	v.Set(reflect.MakeSlice(v.Type(), n, n+f.detail(3)))
	for i := range n {
		f.fill(v.Index(i))
	}
}

// someBounds returns, with some luck, the same bounds as before, or a copy.
func (f *filler) someBounds() []float64 {
	switch f.detail(6) {
	case 0:
		return nil
	case 1:
		return make([]float64, 0, 3)
	case 2:
		f.bounds = []float64{float64(f.serial)}
	case 3:
		f.bounds = []float64{1, float64(f.serial)}
	case 4:
		f.bounds = slices.Clone(f.bounds)
	}
	return f.bounds
}

// aggregation returns one of a known kind or, for the numbers behind those, a
// missing one or one of an unknown kind.
func (f *filler) aggregation(kind int) metricdata.Aggregation {
	switch kind - len(knownKinds) {
	case 0:
		return nil
	case 1:
		return weird{metricdata.Gauge[int64]{DataPoints: make([]metricdata.DataPoint[int64], 3)}}
	case 2:
		return &metricdata.Sum[int64]{DataPoints: make([]metricdata.DataPoint[int64], 3)}
	}
	data := reflect.New(knownKinds[kind]).Elem()
	f.fill(data)
	points := data.FieldByName("DataPoints")
	points.SetZero()
	if choice := f.next(9); choice > 0 {
		f.fillSlice(points, choice-1)
	}
	return data.Interface().(metricdata.Aggregation)
}

// A loosePoint is a data point with its metric, scope and resource.
type loosePoint struct {
	resource *resource.Resource
	scope    any
	metric   metricdata.Metrics // Data has no points
	point    any                // for an unknown kind, all the data
}

// loosePoints takes a collection apart, by reflection.
func loosePoints(rm *metricdata.ResourceMetrics) []loosePoint {
	var loose []loosePoint
	for _, scope := range rm.ScopeMetrics {
		for _, metric := range scope.Metrics {
			bare, points := bare(metric)
			for _, point := range points {
				loose = append(loose, loosePoint{rm.Resource, scope.Scope, bare, point})
			}
		}
	}
	return loose
}

// bare returns a metric without data points, and those.
func bare(metric metricdata.Metrics) (metricdata.Metrics, []any) {
	if metric.Data == nil {
		return metric, nil
	}
	data := reflect.ValueOf(metric.Data)
	if !slices.Contains(knownKinds, data.Type()) {
		points := []any{metric.Data}
		metric.Data = nil
		return metric, points
	}
	rest := reflect.New(data.Type()).Elem()
	rest.Set(data)
	rest.FieldByName("DataPoints").SetZero()
	metric.Data = rest.Interface().(metricdata.Aggregation)
	var points []any
	for i := range data.FieldByName("DataPoints").Len() {
		points = append(points, data.FieldByName("DataPoints").Index(i).Interface())
	}
	return metric, points
}
