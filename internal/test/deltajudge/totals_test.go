package deltajudge

import (
	"fmt"
	"math"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// totals has the values of each series, by its key.
type totals map[string]values

// key identifies a series.
func key(service, metric, customer string) string { return service + " " + metric + " " + customer }

// values has the one value of a number, or all that there is in a histogram.
type values map[string]float64

// add counts a measurement of a number.
func (t totals) add(series string, value float64) { t.of(series)["value"] += value }

// record counts a measurement of a histogram, in the bucket.
func (t totals) record(series string, value float64, bucket string) {
	v := t.of(series)
	if v["count"] == 0 {
		v["min"], v["max"] = value, value
	}
	v["count"]++
	v["sum"] += value
	v["min"], v["max"] = min(v["min"], value), max(v["max"], value)
	v[bucket]++
}

func (t totals) of(series string) values {
	if t[series] == nil {
		t[series] = make(values)
	}
	return t[series]
}

// valuesOf returns what there is in a point.
func valuesOf(p point) values {
	v := make(values)
	switch p := p.(type) {
	case pmetric.NumberDataPoint:
		v["value"] = p.DoubleValue() + float64(p.IntValue()) // one of them is 0
	case pmetric.HistogramDataPoint:
		v["count"], v["sum"], v["min"], v["max"] = float64(p.Count()), p.Sum(), p.Min(), p.Max()
		for i, n := range p.BucketCounts().All() {
			v.addIf(n, bucket(i))
		}
	case pmetric.ExponentialHistogramDataPoint:
		v["count"], v["sum"], v["min"], v["max"] = float64(p.Count()), p.Sum(), p.Min(), p.Max()
		v.addIf(p.ZeroCount(), power(0))
		for i, n := range p.Positive().BucketCounts().All() {
			v.addIf(n, powerOfBucket("", p.Scale(), int(p.Positive().Offset())+i))
		}
		for i, n := range p.Negative().BucketCounts().All() {
			v.addIf(n, powerOfBucket("-", p.Scale(), int(p.Negative().Offset())+i))
		}
	}
	return v
}

// addIf adds the count of a bucket, if there is something in it.
func (v values) addIf(n uint64, bucket string) {
	if n > 0 {
		v[bucket] += float64(n)
	}
}

// bucket is the name of the i-th bucket of a histogram.
func bucket(i int) string { return fmt.Sprintf("bucket %d", i) }

// power is the name of the bucket of scale 0 that has a value. It is for values
// that are not powers of 2, which are between two buckets.
func power(value float64) string {
	switch {
	case value == 0:
		return "zero"
	case value < 0:
		return powerOfBucket("-", 0, math.Ilogb(value))
	}
	return powerOfBucket("", 0, math.Ilogb(value))
}

// powerOfBucket is the name of the bucket of scale 0 that has the i-th bucket of
// the given scale in it, which is at least 0.
func powerOfBucket(sign string, scale int32, i int) string {
	return fmt.Sprintf("from %s2^%d", sign, i>>scale)
}
