package queuetest

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A kind is a type of aggregation.
type kind int

const (
	intSum kind = iota
	floatSum
	intGauge
	floatGauge
	intHistogram
	floatHistogram
	intExponential
	floatExponential
	summary
	kinds // how many there are
)

// An instrument is what all points of a metric have in common.
type instrument struct {
	name, description string
	kind              kind
	temporality       metricdata.Temporality // none for gauges and summaries
	monotonic         bool                   // of sums
}

// A point is a data point of any kind.
type point struct {
	attributes  attribute.Set
	start, time time.Time
	amount
}

// An amount is what a point says of its time, or the sum or difference of
// several. All numbers are small enough to be exact.
type amount struct {
	value   float64 // of a sum or gauge; else the sum of what was measured
	count   int64
	scale   int32 // of the buckets of an exponential histogram
	buckets map[bucket]int64
}

// A bucket of a histogram. Those of one that is not exponential have the sign
// 0, as has the bucket of zeroes.
type bucket struct{ sign, index int }

// lowered returns the amount with its buckets at a lower scale.
func (a amount) lowered(scale int32) amount {
	if a.buckets == nil || a.scale <= scale {
		return a
	}
	lower := amount{value: a.value, count: a.count, scale: scale, buckets: map[bucket]int64{}}
	for b, n := range a.buckets {
		if b.sign != 0 {
			b.index >>= a.scale - scale // each step makes one bucket of two
		}
		lower.buckets[b] += n
	}
	return lower
}

// plus returns a + factor*b, where both have the same scale.
func (a amount) plus(b amount, factor int64) amount {
	sum := amount{value: a.value + float64(factor)*b.value, count: a.count + factor*b.count, scale: b.scale}
	if a.buckets == nil && b.buckets == nil {
		return sum
	}
	sum.buckets = map[bucket]int64{}
	for id, n := range a.buckets {
		sum.buckets[id] += n
	}
	for id, n := range b.buckets {
		sum.buckets[id] += factor * n
	}
	return sum
}

// fellFrom reports whether anything that only grows is less than it was before.
func (a amount) fellFrom(before amount, in instrument) bool {
	if in.isSum() {
		return a.value < before.value
	}
	for id, n := range before.buckets {
		if a.buckets[id] < n {
			return true
		}
	}
	return a.count < before.count
}

// equal reports whether two amounts at the same scale are the same. Empty
// buckets do not count.
func (a amount) equal(b amount) bool {
	difference := a.plus(b, -1)
	for _, n := range difference.buckets {
		if n != 0 {
			return false
		}
	}
	return difference.value == 0 && difference.count == 0
}

func (in instrument) isSum() bool   { return in.kind <= floatSum }
func (in instrument) isGauge() bool { return in.kind == intGauge || in.kind == floatGauge }
func (in instrument) isExponential() bool {
	return in.kind == intExponential || in.kind == floatExponential
}
func (in instrument) isDelta() bool { return in.temporality == metricdata.DeltaTemporality }

// isInteger reports whether all values are whole numbers.
func (in instrument) isInteger() bool {
	return in.kind == intSum || in.kind == intGauge || in.kind == intHistogram || in.kind == intExponential
}

// grows reports whether the values are cumulative and only fall when they start
// again, so that their increase is their meaning.
func (in instrument) grows() bool {
	return !in.isDelta() && !in.isGauge() && (in.monotonic || !in.isSum())
}
