package batch_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// testingT is what *testing.T and *rapid.T have in common.
type testingT interface {
	require.TestingT
	metricdatatest.TestingT
}

// requireEqual requires more than metricdatatest.AssertEqual, which ignores
// order, takes nil for empty and knows no unknown kinds.
func requireEqual(t testingT, want, got *metricdata.ResourceMetrics) {
	t.Helper()
	if reflect.DeepEqual(want, got) {
		return
	}
	metricdatatest.AssertEqual(t, *want, *got) // says what differs
	require.FailNow(t, "collections differ; if only so, then in their order, or in what is nil")
}

// sealed reports whether only its own package can change a part of a value of
// type t: attribute sets, times, extrema and so on.
func sealed(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if t.Field(i).IsExported() {
			return false
		}
	}
	return true
}

// children returns what v, which is not sealed, consists of or refers to.
// Aggregations of an unknown kind have none: the package does not copy them.
func children(v reflect.Value) []reflect.Value {
	var found []reflect.Value
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && !sealed(v.Type().Elem()) {
			found = append(found, v.Elem())
		}
	case reflect.Interface:
		if !v.IsNil() && slices.Contains(knownKinds, v.Elem().Type()) {
			found = append(found, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			found = append(found, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			found = append(found, v.Index(i))
		}
	}
	return found
}

// A span is the memory behind a slice, with its spare capacity.
type span struct {
	of         reflect.Value
	start, end uintptr
	metric     *metricdata.Metrics // the one that the slice is in, if any
}

func (s span) overlaps(other span) bool { return s.start < other.end && other.start < s.end }

// spans returns the memory of all slices in rm that a caller could change.
func spans(rm *metricdata.ResourceMetrics) []span { return spansIn(reflect.ValueOf(rm), nil) }

func spansIn(v reflect.Value, metric *metricdata.Metrics) []span {
	if sealed(v.Type()) {
		return nil
	}
	if v.Type() == reflect.TypeFor[metricdata.Metrics]() {
		metric = v.Addr().Interface().(*metricdata.Metrics)
	}
	var found []span
	if v.Kind() == reflect.Slice && v.Cap() > 0 {
		start := v.Pointer()
		found = append(found, span{v, start, start + uintptr(v.Cap())*v.Type().Elem().Size(), metric})
	}
	for _, child := range children(v) {
		found = append(found, spansIn(child, metric)...)
	}
	return found
}

func requireNothingShared(t testingT, a, b *metricdata.ResourceMetrics) {
	t.Helper()
	inB := spans(b)
	for _, s := range spans(a) {
		for _, other := range inB {
			if s.overlaps(other) {
				require.FailNow(t, "both collections use the same "+s.of.Type().String())
			}
		}
	}
}

// requireOwnMemory requires that no two slices in rm overlap, except the bounds
// of two points of one metric, and that no slice has spare capacity.
func requireOwnMemory(t testingT, rm *metricdata.ResourceMetrics) {
	t.Helper()
	all := spans(rm)
	bounds := reflect.TypeFor[[]float64]()
	for i, s := range all {
		if s.of.Len() < s.of.Cap() {
			require.FailNow(t, s.of.Type().String()+" has spare capacity")
		}
		for _, other := range all[:i] {
			same := s.of.Type() == bounds && s.metric == other.metric && s.start == other.start && s.end == other.end
			if s.overlaps(other) && !same {
				require.FailNow(t, s.of.Type().String()+" overlaps with "+other.of.Type().String())
			}
		}
	}
}

// scribble changes everything in rm that can be changed, in place.
func scribble(rm *metricdata.ResourceMetrics) { scribbleOn(reflect.ValueOf(rm)) }

func scribbleOn(v reflect.Value) {
	if !sealed(v.Type()) {
		for _, child := range children(v) {
			scribbleOn(child)
		}
	}
	switch {
	case !v.CanSet():
	case v.CanInt():
		v.SetInt(v.Int() + 1)
	case v.CanUint():
		v.SetUint(v.Uint() + 1)
	case v.CanFloat():
		v.SetFloat(v.Float() + 1)
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "!")
	case v.Kind() != reflect.Struct || sealed(v.Type()):
		v.SetZero()
	}
}

func TestSpansFindEverySliceOfAPoint(t *testing.T) {
	var found []string
	for _, s := range spans(metrictest.EveryKind(1)) {
		if name := s.of.Type().String(); !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	require.ElementsMatch(t, []string{
		"[]metricdata.ScopeMetrics", "[]metricdata.Metrics",
		"[]metricdata.DataPoint[int64]", "[]metricdata.DataPoint[float64]",
		"[]metricdata.HistogramDataPoint[int64]", "[]metricdata.HistogramDataPoint[float64]",
		"[]metricdata.ExponentialHistogramDataPoint[int64]", "[]metricdata.ExponentialHistogramDataPoint[float64]",
		"[]metricdata.SummaryDataPoint", "[]metricdata.QuantileValue",
		"[]metricdata.Exemplar[int64]", "[]metricdata.Exemplar[float64]",
		"[]float64", "[]uint64", "[]attribute.KeyValue", "[]uint8",
	}, found)
}
