package batch_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
)

// A wild makes data points that no SDK makes, from arbitrary bytes.
type wild struct{ bytes []byte }

func (w *wild) next() byte {
	if len(w.bytes) == 0 {
		return 0
	}
	b := w.bytes[0]
	w.bytes = w.bytes[1:]
	return b
}

// word returns one of the special values, a small number, or any.
func (w *wild) word(special ...uint64) uint64 {
	b := int(w.next())
	if b < len(special) {
		return special[b]
	}
	if b < 250 {
		return uint64(b - len(special))
	}
	var word [8]byte
	for i := range word {
		word[i] = w.next()
	}
	return binary.LittleEndian.Uint64(word[:])
}

func (w *wild) float() float64 {
	special := []float64{0, 1, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 0.1, math.SmallestNonzeroFloat64}
	words := make([]uint64, len(special))
	for i, f := range special {
		words[i] = math.Float64bits(f)
	}
	return math.Float64frombits(w.word(words...))
}

func (w *wild) fill(v reflect.Value) {
	const negative = ^uint64(0)
	switch to := v.Addr().Interface().(type) {
	case *time.Time:
		*to = minute(int(int8(w.next())))
		return
	case *metricdata.Extrema[int64]:
		if w.next()%2 == 0 {
			*to = metricdata.NewExtrema(int64(w.word(negative)))
		}
		return
	case *metricdata.Extrema[float64]:
		if w.next()%2 == 0 {
			*to = metricdata.NewExtrema(w.float())
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Attributes" && name != "Exemplars" {
				w.fill(v.Field(i))
			}
		}
	case reflect.Slice:
		n := int(w.next())
		if n > 200 {
			n *= 5
		}
		if n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range min(n, len(w.bytes)) {
			w.fill(v.Index(i))
		}
	case reflect.Float64:
		v.SetFloat(w.float())
	case reflect.Int64:
		v.SetInt(int64(w.word(0, 1, negative, math.MaxInt64, 1<<63)))
	case reflect.Int32:
		v.SetInt(int64(int32(w.word(0, 20, negative, math.MaxInt32, 1<<31, negative-10))))
	case reflect.Uint64:
		v.SetUint(w.word(0, 1, math.MaxUint64, math.MaxUint64-1, 1<<63))
	default:
		panic("batch_test: cannot fill a " + v.Type().String())
	}
}

// pair returns two aggregations of one point each, of the same series, and a
// newer one that often has much in common with the older one.
func (w *wild) pair() (older, newer metricdata.Aggregation) {
	kind := knownKinds[int(w.next())%len(knownKinds)]
	data := reflect.New(kind).Elem()
	if field := data.FieldByName("Temporality"); field.IsValid() {
		field.Set(reflect.ValueOf([]metricdata.Temporality{delta, delta, cumulative, 0}[w.next()%4]))
	}
	points := data.FieldByName("DataPoints")
	points.Set(reflect.MakeSlice(points.Type(), 1, 1))
	w.fill(points.Index(0))
	older = data.Interface().(metricdata.Aggregation)
	points.Set(reflect.MakeSlice(points.Type(), 1, 1))
	w.fill(points.Index(0))
	for _, common := range []string{"Bounds", "BucketCounts", "ZeroThreshold", "StartTime"} {
		if field := points.Index(0).FieldByName(common); field.IsValid() && w.next()%4 > 0 {
			field.Set(reflect.ValueOf(older).FieldByName("DataPoints").Index(0).FieldByName(common))
		}
	}
	return older, data.Interface().(metricdata.Aggregation)
}

// requireTotalsOrBothPoints makes collections of the bytes, coalesces them and
// requires that each pair of points became one with the totals of both, or stayed
// as it was.
func requireTotalsOrBothPoints(t testingT, bytes []byte) {
	t.Helper()
	var olders, newers []metricdata.Aggregation
	for w := (&wild{bytes}); len(w.bytes) > 0 && len(olders) < 8; {
		older, newer := w.pair()
		olders, newers = append(olders, older), append(newers, newer)
	}
	older, newer := collectionWith(olders...), collectionWith(newers...)
	olderBefore, newerBefore := fmt.Sprintf("%+v", *older), fmt.Sprintf("%+v", *newer)
	var buffer batch.Buffer
	got := batch.Coalesce(&buffer, older, newer)
	require.Equal(t, olderBefore, fmt.Sprintf("%+v", *older))
	require.Equal(t, newerBefore, fmt.Sprintf("%+v", *newer))
	requireNothingShared(t, older, got)
	requireNothingShared(t, newer, got)
	require.LessOrEqual(t, buffer.Used()-new(batch.Buffer).Used(), 3*(sizeOf(older)+sizeOf(newer))+len(olders)*2*160*8)

	require.Len(t, got.ScopeMetrics[0].Metrics, len(olders))
	for i, metric := range got.ScopeMetrics[0].Metrics {
		points := reflect.ValueOf(metric.Data).FieldByName("DataPoints")
		a := reflect.ValueOf(olders[i]).FieldByName("DataPoints").Index(0)
		b := reflect.ValueOf(newers[i]).FieldByName("DataPoints").Index(0)
		printed := fmt.Sprintf("%+v", points)
		switch {
		case points.Len() == 2:
			require.False(t, isGauge(metric.Data))
			require.Equal(t, fmt.Sprintf("[%+v %+v]", a, b), printed)
		case temporalityOf(metric.Data) == delta:
			require.Equal(t, 1, points.Len())
			requireTotal(t, a, b, points.Index(0))
		default:
			require.Equal(t, fmt.Sprintf("[%+v]", b), printed)
			require.True(t, isGauge(metric.Data) || startOf(a.Interface()).Equal(startOf(b.Interface())))
			requireContained(t, a, b)
		}
	}
}

func isGauge(data metricdata.Aggregation) bool {
	switch data.(type) {
	case metricdata.Gauge[int64], metricdata.Gauge[float64]:
		return true
	}
	return false
}

// requireContained requires that b has at least all the counts of a.
func requireContained(t testingT, a, b reflect.Value) {
	t.Helper()
	older, newer := &total{counts: map[string]*big.Int{}}, &total{counts: map[string]*big.Int{}}
	older.addCounts(a)
	newer.addCounts(b)
	scale := int64(0)
	if field := a.FieldByName("Scale"); field.IsValid() {
		scale = min(field.Int(), b.FieldByName("Scale").Int())
	}
	have := newer.countsAt(int32(scale))
	for label, n := range older.countsAt(int32(scale)) {
		want, _ := new(big.Int).SetString(n, 10)
		got, _ := new(big.Int).SetString(have[label], 10)
		require.NotNil(t, got, label)
		require.LessOrEqual(t, want.Cmp(got), 0, label)
	}
}

// requireTotal requires that got is what a and b are together.
func requireTotal(t testingT, a, b, got reflect.Value) {
	t.Helper()
	want, have := &total{counts: map[string]*big.Int{}}, &total{counts: map[string]*big.Int{}}
	want.addCounts(a)
	want.addCounts(b)
	have.addCounts(got)
	scale := int32(0)
	if field := got.FieldByName("Scale"); field.IsValid() {
		scale = int32(field.Int())
		require.LessOrEqual(t, field.Int(), min(a.FieldByName("Scale").Int(), b.FieldByName("Scale").Int()))
		for _, sign := range []string{"PositiveBucket", "NegativeBucket"} {
			size := func(v reflect.Value) int { return v.FieldByName(sign).FieldByName("Counts").Len() }
			require.LessOrEqual(t, size(got), max(160, size(a), size(b)))
		}
	}
	require.Equal(t, want.countsAt(scale), have.countsAt(scale))

	require.Equal(t, startOf(a.Interface()), startOf(got.Interface()))
	require.Equal(t, b.FieldByName("Time").Interface(), got.FieldByName("Time").Interface())
	require.False(t, got.FieldByName("Time").Interface().(time.Time).Before(startOf(got.Interface())))
	require.False(t, startOf(b.Interface()).Before(startOf(got.Interface())))
	for _, name := range []string{"Sum", "Value"} {
		x, y, sum := a.FieldByName(name), b.FieldByName(name), got.FieldByName(name)
		switch {
		case !sum.IsValid():
		case sum.CanInt():
			want := new(big.Int).Add(big.NewInt(x.Int()), big.NewInt(y.Int()))
			require.Equal(t, want.String(), fmt.Sprint(sum.Int()))
		default:
			require.Equal(t, fmt.Sprint(x.Float()+y.Float()), fmt.Sprint(sum.Float()))
			if math.IsInf(sum.Float(), 0) {
				require.True(t, math.IsInf(x.Float(), 0) || math.IsInf(y.Float(), 0))
			}
		}
	}
}

// sizeOf returns how many bytes the slices in a collection take.
func sizeOf(rm *metricdata.ResourceMetrics) int {
	n := 0
	for _, s := range spans(rm) {
		n += int(s.end - s.start)
	}
	return n
}

func TestCoalesceOfWildPointsKeepsTotalsOrBothPoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requireTotalsOrBothPoints(t, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes"))
	})
}

func FuzzCoalesce(f *testing.F) {
	f.Add([]byte{})
	for kind := range byte(len(knownKinds)) {
		for temporality := range byte(4) {
			f.Add([]byte{kind, temporality, 5, 6, 1, 2, 3, 4, 5, 6, 7, 3, 9, 1, 2, 2, 3, 4, 9, 8, 7})
		}
	}
	f.Add([]byte{6, 0, 0, 1, 7, 0, 9, 0, 9, 9, 20, 6, 0, 4, 2, 1, 2, 3, 2, 1, 1, 1, 2, 7, 0, 9, 0, 9, 9, 3, 6, 0, 3, 2, 2, 2, 4, 1, 9})
	f.Fuzz(func(t *testing.T, bytes []byte) { requireTotalsOrBothPoints(t, bytes) })
}
