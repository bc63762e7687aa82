package rival

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestDeepCopyIsEqual(t *testing.T) {
	rm := metrictest.EveryKind(3)
	metricdatatest.AssertEqual(t, *rm, *DeepCopy(rm))
}

func TestDeepCopySharesNoSlice(t *testing.T) {
	rm := metrictest.EveryKind(3)
	original := make(map[uintptr]bool)
	slicesIn(reflect.ValueOf(rm), func(at uintptr) { original[at] = true })
	require.Greater(t, len(original), 100)
	slicesIn(reflect.ValueOf(DeepCopy(rm)), func(at uintptr) { assert.False(t, original[at]) })
}

// slicesIn calls f with the address of the first element of each slice within v,
// but for what is immutable.
func slicesIn(v reflect.Value, f func(uintptr)) {
	switch v.Type() {
	case reflect.TypeFor[attribute.Set](), reflect.TypeFor[*resource.Resource](), reflect.TypeFor[attribute.Value]():
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			slicesIn(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			slicesIn(v.Field(i), f)
		}
	case reflect.Slice:
		if v.Len() > 0 {
			f(v.Pointer())
		}
		for i := range v.Len() {
			slicesIn(v.Index(i), f)
		}
	}
}

func TestConvertKeepsEveryPoint(t *testing.T) {
	var c Converter
	for _, n := range []int{1, 3, 2} { // buffers are used again
		rm := metrictest.EveryKind(n)
		md, err := c.Convert(rm)
		require.NoError(t, err)
		assert.Equal(t, 2*9*n, md.DataPointCount())
		assert.Equal(t, 2*9, md.MetricCount())
	}
}

func TestConvertSharesNothingWithTheNextOne(t *testing.T) {
	var c Converter
	first, err := c.Convert(metrictest.Numbers(3, 1))
	require.NoError(t, err)
	_, err = c.Convert(metrictest.Numbers(3, 2))
	require.NoError(t, err)
	assert.Equal(t, int64(1), firstValue(first))
}

func TestConvertFailsWithWhatOTLPDoesNotKnow(t *testing.T) {
	rm := metrictest.Numbers(1, 1)
	rm.ScopeMetrics[0].Metrics[0].Data = metricdata.Sum[int64]{Temporality: 99}
	_, err := new(Converter).Convert(rm)
	assert.ErrorContains(t, err, "convert")
}

func firstValue(md pmetric.Metrics) int64 {
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	return m.Sum().DataPoints().At(0).IntValue()
}
