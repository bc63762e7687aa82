package batch_test

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"
)

// An application draws what instruments report: deltas, and cumulative values
// that only rise until they are reset, with a new start time or without one.
// Series come and go, and the clock may step backwards.
type application struct {
	*rapid.T
	collected   int
	clock       time.Time
	silent      bool // a reset may keep the start time
	instruments []*instrument
}

type instrument struct {
	scope       int
	description string
	data        metricdata.Aggregation
	series      map[int]*reported
}

// What a series has reported.
type reported struct {
	start  time.Time
	value  uint64
	counts []uint64
}

// drawApplication draws one whose instruments have different names, or, in
// conflict, all the same one.
func drawApplication(t *rapid.T, conflict, silent bool) *application {
	a := &application{T: t, clock: minute(1000), silent: silent}
	for i := range rapid.IntRange(1, 4).Draw(t, "instruments") {
		kinds := []metricdata.Aggregation{
			metricdata.Sum[int64]{Temporality: cumulative, IsMonotonic: true},
			metricdata.Histogram[float64]{Temporality: cumulative},
			metricdata.ExponentialHistogram[int64]{Temporality: cumulative},
			metricdata.Summary{},
			metricdata.Sum[float64]{Temporality: delta, IsMonotonic: true},
			metricdata.Sum[int64]{Temporality: delta},
			metricdata.Histogram[int64]{Temporality: delta},
			metricdata.ExponentialHistogram[float64]{Temporality: delta},
			metricdata.Gauge[float64]{},
			metricdata.Sum[float64]{Temporality: cumulative},
		}
		n := &instrument{scope: a.below(2), data: kinds[a.below(len(kinds))], series: map[int]*reported{}}
		if conflict {
			n.data, n.scope = kinds[4*a.below(2)], 0
			n.description = string(rune('a' + a.below(3))) // may be the same
		} else {
			n.description = fmt.Sprint("only ", i)
		}
		a.instruments = append(a.instruments, n)
	}
	return a
}

func (a *application) below(n int) int { return rapid.IntRange(0, n-1).Draw(a.T, "") }

func (a *application) collect() *metricdata.ResourceMetrics {
	a.collected++
	a.clock = a.clock.Add(time.Minute)
	if a.below(8) == 7 {
		a.clock = a.clock.Add(-3 * time.Minute)
	}
	rm := scopes(metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: "0"}}, metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: "1"}})
	for _, n := range a.instruments {
		name := n.description
		if len(name) == 1 {
			name = "conflict"
		}
		if data, any := a.observe(n); any {
			scope := &rm.ScopeMetrics[n.scope]
			scope.Metrics = append(scope.Metrics, metricdata.Metrics{Name: name, Description: n.description, Data: data})
		}
	}
	rm.ScopeMetrics = slices.DeleteFunc(rm.ScopeMetrics, func(s metricdata.ScopeMetrics) bool { return s.Metrics == nil })
	return rm
}

func (a *application) observe(n *instrument) (metricdata.Aggregation, bool) {
	v := reflect.New(reflect.TypeOf(n.data)).Elem()
	v.Set(reflect.ValueOf(n.data))
	points := v.FieldByName("DataPoints")
	for s := range 3 {
		if a.below(4) == 3 {
			continue // no measurement
		}
		points.Set(reflect.Append(points, a.measure(n, s, points.Type().Elem())))
	}
	return v.Interface().(metricdata.Aggregation), points.Len() > 0
}

func (a *application) measure(n *instrument, s int, kind reflect.Type) reflect.Value {
	end := a.clock.Add(time.Duration(a.collected)) // so that each time is another one
	r := n.series[s]
	reset := a.below(5) == 4
	switch {
	case r == nil, temporalityOf(n.data) == delta, reset && !a.silent:
		r = &reported{start: end.Add(-time.Minute), counts: make([]uint64, 3)}
	case reset:
		r = &reported{start: r.start, counts: make([]uint64, 3)}
	}
	n.series[s] = r
	for i := range r.counts {
		grown := uint64(a.below(4))
		r.counts[i] += grown
		r.value += grown
	}
	point := reflect.New(kind).Elem()
	set := func(field string, value any) {
		if f := point.FieldByName(field); f.IsValid() {
			f.Set(reflect.ValueOf(value).Convert(f.Type()))
		}
	}
	set("Attributes", series[s])
	set("StartTime", r.start)
	set("Time", end)
	set("Value", r.value)
	set("Sum", r.value)
	set("Count", r.value)
	set("Bounds", []float64{1, 2})
	set("BucketCounts", slices.Clone(r.counts))
	if a.below(3) == 0 { // a coarser scale
		set("Scale", 0)
		set("PositiveBucket", metricdata.ExponentialBucket{Counts: []uint64{r.counts[0] + r.counts[1], r.counts[2]}})
	} else {
		set("Scale", 1)
		set("PositiveBucket", metricdata.ExponentialBucket{Counts: slices.Clone(r.counts)})
	}
	return point
}

// increases returns by how much the numbers of all cumulative series that may
// not fall have grown, as a backend computes it from their points in order: each
// fall and each new start is a reset. A bucket is a number of its own.
func increases(collections ...*metricdata.ResourceMetrics) map[string]string {
	sums := map[string]*big.Int{}
	last := map[string]map[string]*big.Int{}
	starts := map[string]time.Time{}
	for _, rm := range collections {
		for _, loose := range loosePoints(rm) {
			if temporalityOf(loose.metric.Data) == delta || reflect.DeepEqual(loose.metric.Data, metricdata.Gauge[float64]{}) ||
				reflect.DeepEqual(loose.metric.Data, metricdata.Sum[float64]{Temporality: cumulative}) {
				continue
			}
			series, start := seriesKey(loose), startOf(loose.point)
			now := numbersOf(loose.point)
			for label, value := range now {
				before := last[series][label]
				if before == nil || !start.Equal(starts[series]) || value.Cmp(before) < 0 {
					before = new(big.Int)
				}
				key := series + " " + label
				if sums[key] == nil {
					sums[key] = new(big.Int)
				}
				sums[key].Add(sums[key], new(big.Int).Sub(value, before))
			}
			last[series], starts[series] = now, start
		}
	}
	printed := map[string]string{}
	for key, sum := range sums {
		if sum.Sign() != 0 {
			printed[key] = sum.String()
		}
	}
	return printed
}

// numbersOf returns all numbers of a point, with its buckets at the scale 0.
func numbersOf(point any) map[string]*big.Int {
	t := &total{counts: map[string]*big.Int{}}
	p := reflect.ValueOf(point)
	t.addCounts(p)
	if value := p.FieldByName("Value"); value.IsValid() && value.CanInt() {
		t.count("value", uint64(value.Int()))
	}
	numbers := map[string]*big.Int{}
	for label, n := range t.countsAt(0) {
		numbers[label], _ = new(big.Int).SetString(n, 10)
	}
	return numbers
}
