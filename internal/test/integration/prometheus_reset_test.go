package integration

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/asyncmetric/asyncmetric"
)

// A counter of the kernel may fall: an interface goes down and comes back. The
// SDK observes only its value, so the points before and after have the same
// start, and Prometheus knows of the reset by the fall alone. A queue that
// overflows must leave it to be seen, and with it all that was counted before.
func TestPrometheusSeesEachFallOfAnObservedCounterAfterAnOverflow(t *testing.T) {
	setups := []setup{
		{name: "one exporter"}, // without an overflow, for comparison
		{name: "coalescing", coalesces: true},
		{name: "coalescing, 4 exporters", replicas: 3, options: splitting, coalesces: true},
	}
	for _, s := range setups {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			observeFalls(t, s, refusals[0]) // to a queue, all outages are alike
		})
	}
}

// observeFalls takes a shop and a kernel through an outage, of 20 times as many
// collections as the queue has room for if the setup coalesces.
func observeFalls(t *testing.T, s setup, o outage) {
	const collections = 100
	k := newKernel()
	if s.coalesces {
		room := collections / 20 * (pointsPerCollection + len(k.received))
		s.options = slices.Concat(s.options, []asyncmetric.Option{asyncmetric.WithMaxQueueSize(room)})
	}
	store := openStore(t)
	front := openFront(t, store)
	p := openPipeline(t, front, s, o.requestTimeout)
	k.observe(t, p.provider)
	p.suffer(front, o, collections)
	p.shutdown()

	assert.Empty(t, p.reports.drops)
	assert.Equal(t, s.coalesces, p.exporter.Stats().Coalesced > 0)
	store.assertNothingRefused(false)
	store.assertStored(p.history, !s.coalesces)
	store.assertFalls(k)
}

// A kernel has a counter for each network interface. Each falls after as many
// reads as faults says, 0 if it never does.
type kernel struct {
	faults   map[string]int
	reads    int
	received map[string][]float64 // all values read, in order
}

func newKernel() *kernel {
	k := &kernel{faults: map[string]int{"lo": 0, "eth0": 23, "eth1": 38, "wlan0": 51}, received: make(map[string][]float64)}
	for name := range k.faults {
		k.received[name] = nil
	}
	return k
}

// observe has the SDK read the counters whenever it collects.
func (k *kernel) observe(t *testing.T, provider metric.MeterProvider) {
	_, err := provider.Meter("kernel").Int64ObservableCounter("kernel.received", metric.WithUnit("By"),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			k.reads++
			for name, every := range k.faults {
				value := k.read(every)
				k.received[name] = append(k.received[name], float64(value))
				o.Observe(value, metric.WithAttributes(attribute.String("interface", name)))
			}
			return nil
		}))
	require.NoError(t, err)
}

// read returns the next value of a counter that falls after so many reads. After
// each fall it rises faster, so that it soon is above what it fell from: then
// the fall can be seen only where it was.
func (k *kernel) read(every int) int64 {
	if every == 0 {
		return int64(k.reads)
	}
	falls, since := k.reads/every, k.reads%every
	return int64(math.Pow(4, float64(falls))) * int64(since+1)
}

// assertFalls demands of the counters of the kernel, in Prometheus, that each
// stored sample was read, that each fall can be seen, and that the increases
// add up to what was counted.
func (s *store) assertFalls(k *kernel) {
	s.t.Helper()
	matrix, err := s.query("kernel_received_bytes_total[1h]").Matrix()
	require.NoError(s.t, err)
	stored := make(map[string][]float64)
	for _, m := range matrix {
		for _, p := range m.Floats {
			name := m.Metric.Get("interface")
			stored[name] = append(stored[name], p.F)
		}
	}
	for name, read := range k.received {
		selector := `kernel_received_bytes_total{interface="` + name + `"}[1h]`
		increase, falls := increaseOf(read)
		found, seen := increaseOf(stored[name])
		assert.Subset(s.t, read, stored[name], name)
		assert.Equal(s.t, falls, seen, "%s: falls", name)
		assert.Equal(s.t, float64(falls), s.scalar("resets("+selector+")"), "%s: falls, for PromQL", name)
		assert.Equal(s.t, increase, found, "%s: increase", name)
	}
}

// increaseOf adds up the increases of a counter, from 0 on, as PromQL does: after
// a fall it counts from 0 again.
func increaseOf(values []float64) (increase float64, falls int) {
	last := 0.0
	for _, v := range values {
		if v < last {
			falls++
			last = 0
		}
		increase += v - last
		last = v
	}
	return increase, falls
}
