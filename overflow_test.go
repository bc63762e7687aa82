package asyncmetric_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// increases are by how much counters have grown: of each resource, metric and set of
// attributes.
type increases map[string]int64

func (in increases) add(r *resource.Resource, name string, set attribute.Set, n int64) {
	in[fmt.Sprint(r, name, set.Encoded(attribute.DefaultEncoder()))] += n
}

// A backend adds up what it gets, as those do that take a cumulative value that falls
// for a reset.
type backend struct {
	*metrictest.Exporter
	down      atomic.Bool
	increases increases
	last      increases // of cumulative counters, their value
}

// newBackend returns a backend that is down. Then a call fails at once, or when
// its context ends.
func newBackend(temporality metric.TemporalitySelector, sits bool) *backend {
	b := &backend{increases: increases{}, last: increases{}}
	b.down.Store(true)
	b.Exporter = &metrictest.Exporter{OnTemporality: temporality, OnExport: func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
		if !b.down.Load() {
			b.receive(rm)
			return nil
		}
		if sits {
			<-ctx.Done()
		}
		return errTransient
	}}
	return b
}

func (b *backend) receive(rm *metricdata.ResourceMetrics) {
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			data := m.Data.(metricdata.Sum[int64])
			for _, p := range data.DataPoints {
				grown := p.Value
				if data.Temporality == metricdata.CumulativeTemporality {
					grown = b.last.observe(rm.Resource, m.Name, p.Attributes, p.Value)
				}
				b.increases.add(rm.Resource, m.Name, p.Attributes, grown)
			}
		}
	}
}

// observe notes the value of a cumulative counter, and returns by how much it has
// grown.
func (in increases) observe(r *resource.Resource, name string, set attribute.Set, value int64) int64 {
	key := fmt.Sprint(r, name, set.Encoded(attribute.DefaultEncoder()))
	last := in[key]
	in[key] = value
	if value < last {
		return value
	}
	return value - last
}

// shared is an exporter that several readers use. It outlives them.
type shared struct {
	*asyncmetric.Exporter
	pieces int // points in one call of Export; 0 means all
}

func (shared) Shutdown(context.Context) error { return nil }

// Export hands a collection over in pieces, as metric.WithMaxExportBatchSize of newer
// versions of the SDK has a reader do it.
func (s shared) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if s.pieces == 0 {
		return s.Exporter.Export(ctx, rm)
	}
	for part := range batch.Split(rm, s.pieces) {
		if err := s.Exporter.Export(ctx, part.Copy(nil)); err != nil {
			return err
		}
	}
	return nil
}

// A source is an application whose metrics go through an exporter. It notes what
// is to arrive.
type source struct {
	t        *testing.T
	exporter shared
	want     increases
	all      []*metric.MeterProvider
}

// provider returns a new provider that is read once a minute.
func (s *source) provider(r *resource.Resource, opts ...metric.PeriodicReaderOption) *metric.MeterProvider {
	reader := metric.NewPeriodicReader(s.exporter, append(opts, metric.WithInterval(time.Minute))...)
	p := metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(r))
	s.all = append(s.all, p)
	return p
}

// counters returns a function that adds one to each of n counters.
func (s *source) counters(n int, r *resource.Resource, p *metric.MeterProvider) (count func()) {
	var all []apimetric.Int64Counter
	for i := range n {
		c, err := p.Meter("test").Int64Counter(fmt.Sprint("counter", i))
		require.NoError(s.t, err)
		all = append(all, c)
	}
	return func() {
		for i, c := range all {
			c.Add(s.t.Context(), 1)
			s.want.add(r, fmt.Sprint("counter", i), attribute.Set{}, 1)
		}
	}
}

// The ways in which collections come that make it hard to join them: what a full
// queue does to them loses no total.
var overflowing = map[string]struct {
	temporality metric.TemporalitySelector
	minutes     int
	points      int // the bound
	bytes       int64
	drops       bool // of series that come once
	begin       func(s *source) (eachMinute func(minute int))
}{
	"collections in pieces": {
		temporality: deltas, minutes: 50, points: 2000, bytes: 600_000,
		begin: func(s *source) func(int) {
			s.exporter.pieces = 100
			count := s.counters(400, resources[0], s.provider(resources[0]))
			return func(int) { count() }
		},
	},
	"pieces that are a point each": {
		temporality: deltas, minutes: 100, points: 50, bytes: 100_000,
		begin: func(s *source) func(int) {
			s.exporter.pieces = 1
			count := s.counters(10, resources[0], s.provider(resources[0]))
			return func(int) { count() }
		},
	},
	"two resources in turn": {
		temporality: deltas, minutes: 200, points: 200, bytes: 100_000,
		begin: func(s *source) func(int) {
			first := s.counters(20, resources[0], s.provider(resources[0]))
			second := s.counters(20, resources[1], s.provider(resources[1]))
			return func(int) { first(); second() }
		},
	},
	"stable series beside others that come once": {
		temporality: deltas, minutes: 300, points: 400, bytes: 100_000, drops: true,
		begin: func(s *source) func(int) {
			p := s.provider(resources[0])
			count := s.counters(10, resources[0], p)
			once, err := p.Meter("test").Int64Counter("once")
			require.NoError(s.t, err)
			return func(minute int) {
				count()
				for i := range 10 {
					once.Add(s.t.Context(), 1, apimetric.WithAttributes(attribute.Int("minute", minute), attribute.Int("i", i)))
				}
			}
		},
	},
	"a cumulative counter that falls": {
		minutes: 200, points: 100, bytes: 200_000,
		begin: func(s *source) func(int) {
			var value atomic.Int64
			last := increases{}
			c, err := s.provider(resources[0]).Meter("test").Int64ObservableCounter("observed",
				apimetric.WithInt64Callback(func(_ context.Context, o apimetric.Int64Observer) error {
					o.Observe(value.Load())
					s.want.add(resources[0], "observed", attribute.Set{},
						last.observe(resources[0], "observed", attribute.Set{}, value.Load()))
					return nil
				}))
			require.NoError(s.t, err)
			require.NotNil(s.t, c)
			return func(minute int) {
				if minute%15 == 14 {
					value.Store(0)
				}
				value.Add(7)
			}
		},
	},
}

func TestOverflowLosesNoTotals(t *testing.T) {
	for name, c := range overflowing {
		for _, sits := range []bool{false, true} {
			for _, bound := range []asyncmetric.Option{asyncmetric.WithMaxQueueSize(c.points), asyncmetric.WithMaxQueueBytes(c.bytes)} {
				t.Run(fmt.Sprintf("%s/calls take until their context ends: %t", name, sits), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						b := newBackend(c.temporality, sits)
						r := &record{}
						e, err := asyncmetric.New(b, append(r.options(), bound)...)
						require.NoError(t, err)
						s := &source{t: t, exporter: shared{Exporter: e}, want: increases{}}
						eachMinute := c.begin(s)
						for minute := range c.minutes {
							eachMinute(minute)
							elapse(time.Minute)
							assertConserved(t, e.Stats())
						}
						assert.Positive(t, e.Stats().Coalesced, "the queue is full")
						b.down.Store(false)
						for _, p := range s.all {
							require.NoError(t, p.Shutdown(t.Context()))
						}
						shutdown(t, e, b.Exporter)
						for counter, want := range s.want {
							assert.Equal(t, want, b.increases[counter], counter)
						}
						if !c.drops {
							assert.Empty(t, r.dropped())
						}
					})
				})
			}
		}
	}
}

// endOfCollection is called when a reader has collected all but what external
// producers have.
type endOfCollection func()

func (f endOfCollection) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	f()
	return nil, nil
}

// The last collection comes with a context that has ended, and the queue is full.
func TestTheLastCollectionIsNotLostInAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(deltas, true)
		r := &record{}
		e, err := asyncmetric.New(b, append(r.options(), asyncmetric.WithMaxQueueSize(25))...)
		require.NoError(t, err)
		s := &source{t: t, exporter: shared{Exporter: e}, want: increases{}}
		ctx, cancel := context.WithCancel(t.Context())
		var last atomic.Bool
		p := s.provider(resources[0], metric.WithProducer(endOfCollection(func() {
			if last.Load() {
				cancel()
			}
		})))
		count := s.counters(10, resources[0], p)
		for range 20 {
			count()
			elapse(time.Minute)
		}
		require.Positive(t, e.Stats().Coalesced, "the queue is full")
		count()
		last.Store(true)
		_ = p.Shutdown(ctx) // collects
		require.Error(t, ctx.Err())
		b.down.Store(false)
		shutdown(t, e, b.Exporter)
		assert.Equal(t, s.want, b.increases)
		assert.Empty(t, r.dropped())
	})
}
