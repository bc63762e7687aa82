package batch_test

import (
	"fmt"
	"reflect"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// An extreme is a minimum and a maximum with the number of measurements that
// they are of.
type extreme struct {
	count    uint64
	known    bool
	min, max int
}

func TestCoalesceKnowsAnExtremeOnlyIfItIsThatOfAll(t *testing.T) {
	bothNumbers(t, testExtrema[integer], testExtrema[float64])
}

func testExtrema[N int64 | float64](t *testing.T) {
	none, undefined := extreme{}, extreme{count: 1}
	odd := extreme{0, true, -99, 99} // of no measurement
	for _, c := range []struct{ older, newer, want extreme }{
		{extreme{1, true, 2, 5}, extreme{1, true, 3, 4}, extreme{2, true, 2, 5}},
		{extreme{1, true, 3, 4}, extreme{1, true, 2, 5}, extreme{2, true, 2, 5}},
		{extreme{1, true, -2, 3}, extreme{1, true, -3, 2}, extreme{2, true, -3, 3}},
		{undefined, extreme{1, true, 3, 4}, extreme{count: 2}},
		{extreme{1, true, 3, 4}, undefined, extreme{count: 2}},
		{undefined, undefined, extreme{count: 2}},
		{none, extreme{1, true, 3, 4}, extreme{1, true, 3, 4}},
		{extreme{1, true, 3, 4}, none, extreme{1, true, 3, 4}},
		{none, undefined, undefined},
		{undefined, none, undefined},
		{none, none, none},
		{odd, extreme{1, true, 3, 4}, extreme{1, true, 3, 4}},
		{extreme{1, true, 3, 4}, odd, extreme{1, true, 3, 4}},
	} {
		t.Run(fmt.Sprint(c.older, c.newer), func(t *testing.T) {
			requireJoined(t, histogram(delta, extremeBuckets[N](0, 1, c.older)),
				histogram(delta, extremeBuckets[N](1, 2, c.newer)), histogram(delta, extremeBuckets[N](0, 2, c.want)))
			requireJoined(t, exponential(delta, extremeScaled[N](0, 1, c.older)),
				exponential(delta, extremeScaled[N](1, 2, c.newer)), exponential(delta, extremeScaled[N](0, 2, c.want)))
		})
	}
}

func extremeBuckets[N int64 | float64](from, to int, e extreme) metricdata.HistogramDataPoint[N] {
	p := buckets[N](from, to, 0, e.count, 0, 0)
	if e.known {
		p.Min, p.Max = metricdata.NewExtrema(N(e.min)), metricdata.NewExtrema(N(e.max))
	}
	return p
}

func extremeScaled[N int64 | float64](from, to int, e extreme) metricdata.ExponentialHistogramDataPoint[N] {
	p := scaled[N](from, to, 0, 0)
	p.Count, p.ZeroCount = e.count, e.count
	if e.known {
		p.Min, p.Max = metricdata.NewExtrema(N(e.min)), metricdata.NewExtrema(N(e.max))
	}
	return p
}

// exemplarsAt returns an exemplar for each minute, with all that it can have.
func exemplarsAt[N int64 | float64](minutes ...int) []metricdata.Exemplar[N] {
	var all []metricdata.Exemplar[N]
	for _, m := range minutes {
		all = append(all, metricdata.Exemplar[N]{
			FilteredAttributes: []attribute.KeyValue{attribute.Int("minute", m)},
			Time:               minute(m), Value: N(m), SpanID: []byte{byte(m)}, TraceID: []byte{byte(m), 1},
		})
	}
	return all
}

func TestCoalesceKeepsTheNewestExemplarsAndNoMoreThanThereWere(t *testing.T) {
	bothNumbers(t, testExemplars[integer], testExemplars[float64])
}

func testExemplars[N int64 | float64](t *testing.T) {
	for _, c := range []struct{ older, newer, want []int }{
		{nil, nil, nil},
		{nil, []int{11, 12}, []int{11, 12}},
		{[]int{1, 2}, nil, []int{1, 2}},
		{[]int{1, 2}, []int{11, 12}, []int{11, 12}},
		{[]int{1}, []int{11, 12}, []int{11, 12}},
		{[]int{1, 2, 3}, []int{11}, []int{2, 3, 11}},
		{[]int{5, 2, 9, 1, 7}, []int{12, 11}, []int{5, 7, 9, 12, 11}}, // the newer ones as they were
		{[]int{5, 2, 9, 1, 7}, []int{12, 11, 13, 14}, []int{9, 12, 11, 13, 14}},
	} {
		t.Run(fmt.Sprint(c.older, c.newer), func(t *testing.T) {
			for _, kind := range exemplarKinds[N]() {
				requireJoined(t, withExemplars[N](kind, c.older, 0, 1), withExemplars[N](kind, c.newer, 0, 2), withExemplars[N](kind, c.want, 0, 2))
			}
		})
	}
}

// exemplarKinds returns all aggregations whose points have exemplars, and which
// are joined.
func exemplarKinds[N int64 | float64]() []metricdata.Aggregation {
	return []metricdata.Aggregation{
		metricdata.Gauge[N]{},
		sum[N](delta), sum[N](cumulative),
		histogram[N](delta), histogram[N](cumulative),
		exponential[N](delta), exponential[N](cumulative),
	}
}

// withExemplars returns data of one point that has nothing else.
func withExemplars[N int64 | float64](data metricdata.Aggregation, minutes []int, from, to int) metricdata.Aggregation {
	v := reflect.New(reflect.TypeOf(data)).Elem()
	v.Set(reflect.ValueOf(data))
	points := v.FieldByName("DataPoints")
	points.Set(reflect.MakeSlice(points.Type(), 1, 1))
	point := points.Index(0)
	point.FieldByName("StartTime").Set(reflect.ValueOf(minute(from)))
	point.FieldByName("Time").Set(reflect.ValueOf(minute(to)))
	point.FieldByName("Exemplars").Set(reflect.ValueOf(exemplarsAt[N](minutes...)))
	return v.Interface().(metricdata.Aggregation)
}

// The points of one histogram may have bounds that differ from each other.
func TestCoalesceGivesEachHistogramItsOwnBounds(t *testing.T) {
	at := func(index, from, to int, bounds []float64, counts ...uint64) metricdata.HistogramDataPoint[int64] {
		p := buckets[int64](from, to, 0, counts...)
		p.Attributes, p.Bounds = series[index], bounds
		return p
	}
	one, two := []float64{1}, []float64{2}
	requireJoined(t,
		histogram(delta, at(0, 0, 1, one, 1, 2), at(1, 0, 1, two, 3, 4), at(2, 0, 1, one, 5, 6)),
		histogram(delta, at(0, 1, 2, one, 10, 20), at(1, 1, 2, two, 30, 40), at(2, 1, 2, two, 50, 60), at(3, 1, 2, one, 70, 80)),
		histogram(delta, at(2, 0, 1, one, 5, 6), at(0, 0, 2, one, 11, 22), at(1, 0, 2, two, 33, 44), at(2, 1, 2, two, 50, 60), at(3, 1, 2, one, 70, 80)))
}
