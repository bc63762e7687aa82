package batch_test

import (
	"math"
	"reflect"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"
)

// A stream draws what one application collects, minute by minute: every kind
// of aggregation, series that come and go, resets, changes of bounds, scales
// and zero thresholds. Each collection is valid and follows the one before.
type stream struct {
	*rapid.T
	minutes int
	start   int // when the cumulative series began
	huge    bool
}

// streamScopes have the same name.
var streamScopes = []instrumentation.Scope{
	{Name: "scope"},
	{Name: "scope", Version: "v2"},
	{Name: "scope", SchemaURL: "https://example.com/schema"},
	{Name: "scope", Attributes: attribute.NewSet(attribute.Int("shard", 1))},
	{Name: "scope", Attributes: attribute.NewSet(attribute.Int("shard", 2))},
}

func (s *stream) pick(n int) int { return rapid.IntRange(0, n-1).Draw(s.T, "") }

// some draws a few of n things, in any order.
func (s *stream) some(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return rapid.Permutation(all).Draw(s.T, "")[:rapid.IntRange(n/2, n).Draw(s.T, "")]
}

func (s *stream) next() *metricdata.ResourceMetrics {
	if s.pick(4) == 3 {
		s.start = s.minutes
	}
	rm := new(metricdata.ResourceMetrics)
	for _, i := range s.some(3) {
		scope := metricdata.ScopeMetrics{Scope: streamScopes[(i+s.pick(2)*2)%len(streamScopes)]}
		for _, kind := range s.some(len(knownKinds)) {
			scope.Metrics = append(scope.Metrics, metricdata.Metrics{Name: "metric", Data: s.data(knownKinds[kind])})
		}
		if !slices.ContainsFunc(rm.ScopeMetrics, func(o metricdata.ScopeMetrics) bool { return o.Scope == scope.Scope }) {
			rm.ScopeMetrics = append(rm.ScopeMetrics, scope)
		}
	}
	s.minutes++
	return rm
}

// data draws an aggregation of one to three points.
func (s *stream) data(kind reflect.Type) metricdata.Aggregation {
	v := reflect.New(kind).Elem()
	from := s.start
	if field := v.FieldByName("Temporality"); field.IsValid() {
		field.Set(reflect.ValueOf([]metricdata.Temporality{delta, delta, cumulative}[s.pick(3)]))
		if field.Interface() == delta {
			from = s.minutes
		}
	}
	points := v.FieldByName("DataPoints")
	for _, i := range s.some(3) {
		point := reflect.New(points.Type().Elem()).Elem()
		point.FieldByName("Attributes").Set(reflect.ValueOf(series[i]))
		point.FieldByName("StartTime").Set(reflect.ValueOf(minute(from)))
		point.FieldByName("Time").Set(reflect.ValueOf(minute(s.minutes + 1)))
		s.fill(point)
		points.Set(reflect.Append(points, point))
	}
	return v.Interface().(metricdata.Aggregation)
}

// fill draws what was measured in a minute.
func (s *stream) fill(point reflect.Value) {
	for _, name := range []string{"Value", "Sum"} {
		if field := point.FieldByName(name); field.IsValid() {
			s.fillNumber(field)
		}
	}
	n := uint64(0)
	if field := point.FieldByName("BucketCounts"); field.IsValid() {
		bounds := [][]float64{{}, {1, 2}, {1, 2}, {1, 3}}[s.pick(4)]
		point.FieldByName("Bounds").Set(reflect.ValueOf(bounds))
		field.Set(reflect.ValueOf(s.counts(len(bounds)+1, &n)))
	}
	if field := point.FieldByName("Scale"); field.IsValid() {
		field.SetInt(int64(5 - s.pick(9)))
		point.FieldByName("ZeroThreshold").SetFloat([]float64{0, 0, 0, 0.5}[s.pick(4)])
		zeroes := s.counts(1, &n)
		point.FieldByName("ZeroCount").SetUint(zeroes[0])
		for _, sign := range []string{"PositiveBucket", "NegativeBucket"} {
			point.FieldByName(sign).Set(reflect.ValueOf(metricdata.ExponentialBucket{
				Offset: int32(s.pick(400) - 200), Counts: s.counts(s.pick(12), &n),
			}))
		}
	}
	if field := point.FieldByName("Count"); field.IsValid() {
		field.SetUint(n)
	}
}

func (s *stream) fillNumber(v reflect.Value) {
	switch {
	case v.CanFloat() && s.huge:
		v.SetFloat(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(s.T, ""))
	case v.CanFloat():
		v.SetFloat(float64(s.pick(2000)-1000) / 8)
	case s.huge:
		v.SetInt(rapid.Int64().Draw(s.T, ""))
	default:
		v.SetInt(int64(s.pick(1000) - 300))
	}
}

// counts draws n counts and adds them to total, which they do not overflow.
func (s *stream) counts(n int, total *uint64) []uint64 {
	counts := make([]uint64, n)
	for i := range counts {
		counts[i] = uint64(s.pick(4))
		if s.huge && s.pick(10) == 9 && *total < math.MaxUint64/2 {
			counts[i] = math.MaxUint64/2 - 1
		}
		*total += counts[i]
	}
	return counts
}

// drawStream draws a few collections that follow each other.
func drawStream(t *rapid.T, huge bool, atLeast int) []*metricdata.ResourceMetrics {
	s := &stream{T: t, huge: huge}
	var collections []*metricdata.ResourceMetrics
	for range rapid.IntRange(atLeast, 6).Draw(t, "collections") {
		collections = append(collections, s.next())
	}
	return collections
}
