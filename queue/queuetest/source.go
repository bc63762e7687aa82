package queuetest

import (
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"pgregory.net/rapid"
)

// A source is an application whose reader collects: a resource, and a few
// instruments of any kind.
type source struct {
	*rapid.T
	traits
	resource    *resource.Resource
	instruments []*meter
	cuts        []int // where the last collection was cut

	falling     bool // falls is not 0, at first
	collections int
	oneOffs     int           // how many there have been
	clock       time.Duration // since the first collection
	last, start time.Time     // of the last collection, and of all cumulative series
}

// A meter is an instrument, and what its lasting series stand at.
type meter struct {
	instrument
	levels []level
}

// oneOffKey is an attribute of the series that come once.
const oneOffKey = attribute.Key("one-off")

// epoch is when all sources start.
var epoch = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

func newSource(t *rapid.T, number int, tr traits) *source {
	twins := rapid.IntRange(0, 15).Draw(t, "twins") == 0
	if twins {
		// The points of two instruments that cannot be joined may come out as those of
		// one: that keeps the order of the series, of which the description is no part.
		tr.resets, tr.falls, tr.backwards = 0, 0, 0
	}
	s := &source{
		T: t, traits: tr, falling: tr.falls > 0, last: epoch, start: epoch,
		resource: resource.NewSchemaless(attribute.Int("source", number)),
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "instruments") {
		s.add(s.drawInstrument(i))
	}
	if twins {
		twin := s.instruments[0].instrument
		twin.description = "another instrument of that name"
		s.add(twin)
	}
	return s
}

func (s *source) add(in instrument) {
	m := &meter{in, make([]level, s.steady+s.sometimes)}
	for i := range m.levels {
		m.levels[i].begin(s.falling && in.grows())
	}
	s.instruments = append(s.instruments, m)
}

func (s *source) drawInstrument(number int) instrument {
	in := instrument{
		name: fmt.Sprint("metric ", number), description: "a metric",
		kind: kind(rapid.IntRange(0, int(kinds)-1).Draw(s.T, "kind")),
	}
	if !in.isGauge() && in.kind != summary {
		in.temporality = metricdata.DeltaTemporality
		if !s.deltas && rapid.Bool().Draw(s.T, "cumulative") {
			in.temporality = metricdata.CumulativeTemporality
		}
	}
	if in.isSum() {
		in.monotonic = rapid.IntRange(0, 3).Draw(s.T, "non-monotonic") > 0
	}
	return in
}

// lasting is how many series come more than once.
func (s *source) lasting() int { return len(s.instruments) * (s.steady + s.sometimes) }

// unjoinable is how many points remain at most when all of each series are
// joined that may be. Where the clock steps back, the delta that it happens in
// can be joined neither with the one before it nor with the one behind it.
func (s *source) unjoinable() int { return s.lasting() * (1 + s.resets + s.falls + 2*s.backwards) }

// largest is how many points a collection can have.
func (s *source) largest() int { return len(s.instruments) * (s.steady + s.sometimes + s.oneOff) }

// A sample is a point that has been collected, and its instrument.
type sample struct {
	instrument
	point
}

// collect returns the next collection, in pieces.
func (s *source) collect() []*metricdata.ResourceMetrics {
	now := s.now()
	var samples []sample
	for _, m := range s.instruments {
		for i := range m.levels {
			l := &m.levels[i]
			if m.isDelta() {
				*l = level{}
			}
			l.grow(s.collections+i, m.instrument)
			if i < s.steady || s.collections%2 == 0 {
				samples = append(samples, s.sample(m.instrument, attribute.Int("series", i), *l, now))
			}
		}
		for i := range s.oneOff {
			var l level
			l.grow(s.collections+i, m.instrument)
			samples = append(samples, s.sample(m.instrument, oneOffKey.Int(s.oneOffs), l, now))
			s.oneOffs++
		}
	}
	s.last = now
	s.collections++
	return s.cut(samples)
}

// now lets a minute pass and returns a time that is like no other.
func (s *source) now() time.Time {
	s.clock += time.Minute
	if s.rarely("the clock steps back", &s.backwards) {
		s.clock -= 5 * time.Minute
	}
	now := epoch.Add(s.clock).Add(time.Duration(s.collections))
	if s.rarely("reset", &s.resets) {
		s.start = now.Add(-time.Second)
		s.eachGrowing(func(l *level) { l.begin(s.falling) })
	}
	if s.rarely("fall", &s.falls) {
		s.eachGrowing((*level).fall)
	}
	return now
}

// rarely is true once in eight times, as long as there is something left.
func (s *source) rarely(label string, left *int) bool {
	if *left == 0 || rapid.IntRange(0, 7).Draw(s.T, label) < 7 {
		return false
	}
	*left--
	return true
}

// eachGrowing calls f for all cumulative series but gauges and sums that may
// fall. Those start again like the others, but without another value.
func (s *source) eachGrowing(f func(*level)) {
	for _, m := range s.instruments {
		for i := range m.levels {
			if m.grows() {
				f(&m.levels[i])
			}
		}
	}
}

func (s *source) sample(in instrument, series attribute.KeyValue, l level, now time.Time) sample {
	start := s.start
	if in.isDelta() {
		start = s.last
	}
	// The SDK lowers the scale of a cumulative histogram as it gets wider. That
	// of a delta is another each time.
	lower := s.collections % 3
	if !in.isDelta() {
		lower = min(2, s.collections/4)
	}
	return sample{in, point{attribute.NewSet(series), start, now, l.amount(in, lower)}}
}

// cut cuts a collection into pieces, as a reader with a maximum size of batches
// does.
func (s *source) cut(samples []sample) []*metricdata.ResourceMetrics {
	if s.moveCuts || s.cuts == nil {
		s.cuts = []int{}
		for range s.pieces - 1 {
			s.cuts = append(s.cuts, rapid.IntRange(0, len(samples)).Draw(s.T, "cut"))
		}
		slices.Sort(s.cuts)
	}
	var pieces []*metricdata.ResourceMetrics
	from := 0
	for _, to := range append(slices.Clone(s.cuts), len(samples)) {
		if to = min(to, len(samples)); to > from {
			pieces = append(pieces, s.piece(samples[from:to]))
			from = to
		}
	}
	return pieces
}

// piece returns a collection of these samples.
func (s *source) piece(samples []sample) *metricdata.ResourceMetrics {
	sm := metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: "queuetest"}}
	for i := 0; i < len(samples); {
		in := samples[i].instrument
		var points []point
		for ; i < len(samples) && samples[i].instrument == in; i++ {
			points = append(points, samples[i].point)
		}
		sm.Metrics = append(sm.Metrics, metricdata.Metrics{
			Name: in.name, Description: in.description, Data: in.aggregation(points),
		})
	}
	return &metricdata.ResourceMetrics{Resource: s.resource, ScopeMetrics: []metricdata.ScopeMetrics{sm}}
}
