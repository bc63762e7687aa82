package batch_test

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"slices"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// totals are the totals of collections, for each series. They are computed with
// numbers of any size and without the code of Coalesce.
type totals map[string]*total

type total struct {
	temporality metricdata.Temporality // 0 if there is none
	sum         *big.Float             // of what was measured
	rounding    *big.Float             // what rounding may have cost: none for integers
	counts      map[string]*big.Int
	buckets     []scaledBucket
	points      []any // in order
}

// A scaledBucket is one bucket of an exponential histogram.
type scaledBucket struct {
	label string // its sign and zero threshold
	scale int32
	index int64
	count uint64
}

// totalsOf returns the totals of collections that follow each other.
func totalsOf(collections ...*metricdata.ResourceMetrics) totals {
	all := totals{}
	for _, rm := range collections {
		for _, loose := range loosePoints(rm) {
			key := seriesKey(loose)
			if all[key] == nil {
				all[key] = &total{
					temporality: temporalityOf(loose.metric.Data), sum: exactly(reflect.ValueOf(0)),
					rounding: exactly(reflect.ValueOf(0)), counts: map[string]*big.Int{},
				}
			}
			all[key].add(loose.point)
		}
	}
	return all
}

// seriesKey returns all that makes a point's series another one.
func seriesKey(loose loosePoint) string {
	set := reflect.ValueOf(loose.point).FieldByName("Attributes").Interface().(attribute.Set)
	return fmt.Sprintf("%+v/%s/%s/%T%+v/%s", loose.scope, loose.metric.Name, loose.metric.Unit,
		loose.metric.Data, loose.metric.Data, set.Encoded(attribute.DefaultEncoder()))
}

func temporalityOf(data metricdata.Aggregation) metricdata.Temporality {
	if field := reflect.ValueOf(data).FieldByName("Temporality"); field.IsValid() {
		return field.Interface().(metricdata.Temporality)
	}
	return 0
}

// exactly returns a number with enough bits for a sum of float64 without rounding.
func exactly(v reflect.Value) *big.Float {
	if n := new(big.Float).SetPrec(2200); v.CanInt() {
		return n.SetInt64(v.Int())
	} else {
		return n.SetFloat64(v.Float())
	}
}

func (t *total) add(point any) {
	t.points = append(t.points, point)
	p := reflect.ValueOf(point)
	value := p.FieldByName("Sum")
	if !value.IsValid() {
		value = p.FieldByName("Value")
	}
	t.sum.Add(t.sum, exactly(value))
	if value.CanFloat() {
		t.rounding.Add(t.rounding, exactly(reflect.ValueOf(math.Abs(value.Float())*1e-14)))
	}
	t.addCounts(p)
}

func (t *total) addCounts(p reflect.Value) {
	if count := p.FieldByName("Count"); count.IsValid() {
		t.count("measurements", count.Uint())
	}
	if counts := p.FieldByName("BucketCounts"); counts.IsValid() {
		for i, c := range counts.Interface().([]uint64) {
			t.count(fmt.Sprint("bucket ", i, " of ", p.FieldByName("Bounds")), c)
		}
	}
	if scale := p.FieldByName("Scale"); scale.IsValid() {
		threshold := p.FieldByName("ZeroThreshold")
		t.count(fmt.Sprint("zeroes up to ", threshold), p.FieldByName("ZeroCount").Uint())
		for _, sign := range []string{"Positive", "Negative"} {
			bucket := p.FieldByName(sign + "Bucket").Interface().(metricdata.ExponentialBucket)
			for i, c := range bucket.Counts {
				t.buckets = append(t.buckets, scaledBucket{
					fmt.Sprint(sign, " above ", threshold), int32(scale.Int()), int64(bucket.Offset) + int64(i), c,
				})
			}
		}
	}
}

func (t *total) count(label string, n uint64) { count(t.counts, label, n) }

func count(counts map[string]*big.Int, label string, n uint64) {
	if n == 0 {
		return
	}
	if counts[label] == nil {
		counts[label] = new(big.Int)
	}
	counts[label].Add(counts[label], new(big.Int).SetUint64(n))
}

// lowestScale returns that of the points that are exponential histograms.
func (t *total) lowestScale() int32 {
	scale := int32(math.MaxInt32)
	for _, point := range t.points {
		if field := reflect.ValueOf(point).FieldByName("Scale"); field.IsValid() {
			scale = min(scale, int32(field.Int()))
		}
	}
	return scale
}

// countsAt returns everything that is counted, with all buckets at a scale.
func (t *total) countsAt(scale int32) map[string]string {
	counts := map[string]*big.Int{}
	for label, n := range t.counts {
		counts[label] = new(big.Int).Set(n)
	}
	for _, b := range t.buckets {
		// The bucket i of a scale has the values above base^i and up to
		// base^(i+1), and each lower scale squares the base.
		index := math.Floor(math.Ldexp(float64(b.index), int(max(int64(scale)-int64(b.scale), -1000))))
		count(counts, fmt.Sprint(b.label, " in ", index), b.count)
	}
	printed := map[string]string{}
	for label, n := range counts {
		printed[label] = n.String()
	}
	return printed
}

// requireEqual requires that got has the totals of all delta series in want:
// exactly, but for the rounding of sums of floats.
func (want totals) requireEqual(t testingT, got totals) {
	t.Helper()
	require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
	for key, w := range want {
		g := got[key]
		if w.temporality != delta {
			continue
		}
		scale := min(w.lowestScale(), g.lowestScale())
		require.Equal(t, w.countsAt(scale), g.countsAt(scale), key)
		difference := exactly(reflect.ValueOf(0)).Sub(w.sum, g.sum)
		require.LessOrEqual(t, difference.Abs(difference).Cmp(w.rounding), 0, "the sum of %s: %g is not %g", key, w.sum, g.sum)
	}
}
