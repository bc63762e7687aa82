package integration

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A collection is what was counted when a reader collected, between from and
// to. Nothing was counted meanwhile.
type collection struct {
	from, to time.Time
	counted  counts
}

func (c collection) contains(millisecond int64) bool {
	return c.from.UnixMilli() <= millisecond && millisecond <= c.to.UnixMilli()
}

// A history is all collections of a pipeline. No two of them share a
// millisecond.
type history []collection

// A sample is a value at a time, in milliseconds.
type sample struct {
	at    int64
	value float64
}

// stored returns all samples of the shop's series that the store has, in the
// order in which it returns them.
func (s *store) stored() map[string][]sample {
	s.t.Helper()
	matrix, err := s.query(`{__name__=~"(shop|back)_.+"}[1h]`).Matrix()
	require.NoError(s.t, err)
	all := make(map[string][]sample)
	for _, m := range matrix {
		key := keyOf(m)
		for _, p := range m.Floats {
			all[key] = append(all[key], sample{p.T, p.F})
		}
		for _, p := range m.Histograms {
			all[ofNative(key, "count")] = append(all[ofNative(key, "count")], sample{p.T, p.H.Count})
			all[ofNative(key, "sum")] = append(all[ofNative(key, "sum")], sample{p.T, p.H.Sum})
		}
	}
	return all
}

// keyOf returns the key that counts have for a series.
func keyOf(s promql.Series) string {
	return labels.NewBuilder(s.Metric).Del("job", "instance").Labels().String()
}

// assertStored demands that the series of the store are those that were
// counted; that each sample has the value that was counted when it was
// collected; that they are in order; that the last one is the last one
// collected; and, if complete, that none is missing in between.
func (s *store) assertStored(h history, complete bool) {
	s.t.Helper()
	stored, last := s.stored(), h[len(h)-1]
	for key := range stored {
		assert.Contains(s.t, last.counted, key, "never counted")
	}
	for key, value := range last.counted {
		samples := stored[key]
		if !assert.NotEmpty(s.t, samples, key) {
			continue
		}
		newest := samples[len(samples)-1]
		assert.True(s.t, last.contains(newest.at), "%s: the newest is missing", key)
		assert.Equal(s.t, value, newest.value, key)
		found := h.match(key, samples)
		assert.Len(s.t, samples, found, "%s: %v is not what was collected", key, samples)
		if complete {
			assert.Equal(s.t, len(h), found, "%s: collections are missing", key)
		}
	}
}

// match returns how many of the samples, from the first one on, are those of
// one collection after the other, though not necessarily of each.
func (h history) match(key string, samples []sample) (n int) {
	for _, c := range h {
		if n < len(samples) && c.contains(samples[n].at) && c.counted[key] == samples[n].value {
			n++
		}
	}
	return n
}

// assertCurrent demands, in PromQL, that the values at the end are those
// counted, and that no counter ever went down.
func (s *store) assertCurrent(last counts) {
	s.t.Helper()
	const selector = `{__name__=~"(shop|back)_.+"}`
	vector, err := s.query(selector).Vector()
	require.NoError(s.t, err)
	current := make(counts)
	for _, v := range vector {
		key := keyOf(promql.Series{Metric: v.Metric})
		if v.H == nil {
			current[key] = v.F
			continue
		}
		current[ofNative(key, "count")], current[ofNative(key, "sum")] = v.H.Count, v.H.Sum
	}
	assert.Equal(s.t, last, current)
	for _, counter := range counters {
		assert.Zero(s.t, s.scalar("sum(resets("+counter+"[1h]))"), counter)
	}
}

// span returns the times of the first and the last point of a collection.
func span(rm *metricdata.ResourceMetrics) (first, last time.Time) {
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			for _, at := range timesOf(m.Data) {
				if first.IsZero() || at.Before(first) {
					first = at
				}
				if at.After(last) {
					last = at
				}
			}
		}
	}
	return first, last
}

// timesOf returns the times of the points that a shop has.
func timesOf(data metricdata.Aggregation) (times []time.Time) {
	switch data := data.(type) {
	case metricdata.Sum[int64]:
		return numberTimes(data.DataPoints)
	case metricdata.Sum[float64]:
		return numberTimes(data.DataPoints)
	case metricdata.Gauge[float64]:
		return numberTimes(data.DataPoints)
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			times = append(times, p.Time)
		}
	case metricdata.ExponentialHistogram[float64]:
		for _, p := range data.DataPoints {
			times = append(times, p.Time)
		}
	}
	return times
}

func numberTimes[N int64 | float64](points []metricdata.DataPoint[N]) (times []time.Time) {
	for _, p := range points {
		times = append(times, p.Time)
	}
	return times
}
