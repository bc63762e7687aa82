package asyncmetric_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// failing returns an OnExport that fails with the errors, one after the other,
// and notes when it was called.
func failing(at *[]time.Duration, errs ...error) func(context.Context, *metricdata.ResourceMetrics) error {
	begin := time.Now()
	return func(context.Context, *metricdata.ResourceMetrics) error {
		*at = append(*at, time.Since(begin))
		if n := len(*at); n <= len(errs) {
			return errs[n-1]
		}
		return nil
	}
}

// slow returns an OnExport that takes the time d.
func slow(d time.Duration) func(context.Context, *metricdata.ResourceMetrics) error {
	return func(context.Context, *metricdata.ResourceMetrics) error {
		time.Sleep(d)
		return nil
	}
}

// held starts an exporter whose inner exporter is stuck with a first
// collection, of value 0, until the gate is opened.
func held(t *testing.T, inner *metrictest.Exporter, opts ...asyncmetric.Option) (*asyncmetric.Exporter, *gate) {
	t.Helper()
	g := newGate()
	then := inner.OnExport
	inner.OnExport = func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
		if metrictest.Value(rm) == 0 {
			return g.stuck(ctx, rm)
		}
		if then != nil {
			return then(ctx, rm)
		}
		return nil
	}
	e, _ := start(t, inner, opts...)
	export(t, e, 0)
	<-g.arrived
	return e, g
}

// outage is an inner exporter whose backend is away: it waits for its context
// and returns the cause.
func outage(causes chan<- error) func(context.Context, *metricdata.ResourceMetrics) error {
	return func(ctx context.Context, _ *metricdata.ResourceMetrics) error {
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	}
}

// mutate does to a collection what an inner exporter might.
func mutate(rm *metricdata.ResourceMetrics) {
	for i := range rm.ScopeMetrics {
		for j := range rm.ScopeMetrics[i].Metrics {
			m := &rm.ScopeMetrics[i].Metrics[j]
			if data, ok := m.Data.(metricdata.Histogram[float64]); ok {
				for k := range data.DataPoints {
					clear(data.DataPoints[k].Bounds)
					clear(data.DataPoints[k].BucketCounts)
				}
				clear(data.DataPoints)
			}
			if data, ok := m.Data.(metricdata.Sum[int64]); ok {
				for k := range data.DataPoints {
					clear(data.DataPoints[k].Exemplars)
				}
				_ = append(data.DataPoints, metricdata.DataPoint[int64]{Value: -1})
				clear(data.DataPoints)
			}
			*m = metricdata.Metrics{}
		}
		rm.ScopeMetrics[i].Metrics = nil
	}
	rm.ScopeMetrics = rm.ScopeMetrics[:1]
}

// mutating changes the argument of an OnExport after it has been used.
func mutating(f func(context.Context, *metricdata.ResourceMetrics) error) func(context.Context, *metricdata.ResourceMetrics) error {
	return func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
		defer mutate(rm)
		return f(ctx, rm)
	}
}

// replicas returns n exporters, and the option that adds all but the first. They
// take time, so that each gets some of what there is.
func replicas(n int) ([]*metrictest.Exporter, asyncmetric.Option) {
	all := make([]*metrictest.Exporter, n)
	for i := range all {
		all[i] = &metrictest.Exporter{OnExport: slow(time.Millisecond)}
	}
	var more []metric.Exporter
	for _, e := range all[1:] {
		more = append(more, e)
	}
	return all, asyncmetric.WithReplicas(more...)
}

// hint is an error that asks for a delay.
type hint struct{ after time.Duration }

func (h hint) Error() string { return fmt.Sprintf("not before %v", h.after) }

// asHint classifies the errors of type hint.
func asHint(err error) asyncmetric.Verdict {
	if h, ok := err.(hint); ok {
		return asyncmetric.Verdict{Action: asyncmetric.ActionRetry, After: h.after}
	}
	return asyncmetric.Verdict{}
}

// PartialSuccess looks like the error that the OTLP exporters keep in an internal
// package.
type PartialSuccess struct {
	ErrorMessage  string
	RejectedItems int64
}

func (PartialSuccess) Error() string { return "OTLP partial success" }

// panicky is an error whose text cannot be had.
type panicky struct{ error }

func (panicky) Error() string { panic("no text") }

// hostile is an error whose methods panic, as those of a nil pointer do.
type hostile struct{ err error }

func (h *hostile) Error() string { return h.err.Error() }

func (h *hostile) Unwrap() error { return h.err }

var resources = []*resource.Resource{
	resource.NewSchemaless(attribute.String("service.name", "a")),
	resource.NewSchemaless(attribute.String("service.name", "b")),
}

// batches returns for each collection the values of its first series, in order.
func batches(rms []*metricdata.ResourceMetrics) [][]int64 {
	all := make([][]int64, len(rms))
	for i, rm := range rms {
		points := rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints
		for _, p := range points {
			if p.Attributes == points[0].Attributes {
				all[i] = append(all[i], p.Value)
			}
		}
	}
	return all
}

// series returns which of the series of metrictest.Numbers the first point is of.
func series(rm *metricdata.ResourceMetrics) int64 {
	value, _ := rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints[0].Attributes.Value("series")
	return value.AsInt64()
}

// sizes returns how many points the collections have.
func sizes(rms []*metricdata.ResourceMetrics) []int {
	n := make([]int, len(rms))
	for i, rm := range rms {
		n[i] = batch.Points(rm)
	}
	return n
}

func deltas(metric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }

// totals adds up the points of the delta sums and histograms in rms.
func totals(rms []*metricdata.ResourceMetrics) (counted int64, recorded uint64) {
	for _, rm := range rms {
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				switch data := m.Data.(type) {
				case metricdata.Sum[int64]:
					for _, p := range data.DataPoints {
						counted += p.Value
					}
				case metricdata.Histogram[float64]:
					for _, p := range data.DataPoints {
						recorded += p.Count
					}
				}
			}
		}
	}
	return counted, recorded
}

func newQueue(t *testing.T) queue.Queue {
	t.Helper()
	q, err := queue.NewMemory(queue.Bound{Points: 10}, queue.DropNewest)
	require.NoError(t, err)
	return q
}

// durable is a queue that keeps what was not delivered, as far as an exporter
// can tell.
type durable struct{ queue.Queue }

func (durable) Info() queue.Info { return queue.Info{Durable: true} }

func (d durable) Close() error {
	d.Seal()
	return nil
}

// keeping is a queue that says it keeps what it has for the next process.
func keeping(t *testing.T) durable { return durable{newQueue(t)} }

// handing is a queue that delivers at once what it gets.
type handing struct{ durable }

func (h handing) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if err := h.durable.Put(ctx, rm); err != nil {
		return err
	}
	entry, err := h.Queue.Take(ctx, queue.Limit{})
	if err != nil {
		return err
	}
	return entry.Settle(queue.Outcome{Exported: entry.Points()})
}

// boundless is a queue whose bound is not one of data points.
type boundless struct{ queue.Queue }

func (boundless) Info() queue.Info { return queue.Info{} }

// weighed is a queue that says how many bytes there are, and how many may be.
// Without counts it does not know how many there are.
type weighed struct {
	queue.Queue
	counts    bool
	bytes     atomic.Int64
	exemplars atomic.Uint64
}

func (w *weighed) Info() queue.Info {
	return queue.Info{MaxPoints: 10, MaxBytes: 1000, CountsBytes: w.counts, Overflow: queue.DropNewest}
}

func (w *weighed) Stats() queue.Stats {
	s := w.Queue.Stats()
	s.Bytes, s.Exemplars = w.bytes.Load(), w.exemplars.Load()
	return s
}

// closing is a queue that says when it is closed.
type closing struct {
	queue.Queue
	onClose func()
}

func (c closing) Close() error {
	c.onClose()
	return c.Queue.Close()
}

// observedQueue is a queue in memory that calls beforeTake before each Take.
type observedQueue struct {
	*queue.Memory
	beforeTake func(ctx context.Context, waiting int) error
}

func (q *observedQueue) Take(ctx context.Context, limit queue.Limit) (queue.Entry, error) {
	s := q.Stats()
	if err := q.beforeTake(ctx, s.Queued-s.InFlight); err != nil {
		return nil, err
	}
	return q.Memory.Take(ctx, limit)
}

func newObservedQueue(t *testing.T, beforeTake func(context.Context, int) error) *observedQueue {
	t.Helper()
	m, err := queue.NewMemory(queue.Bound{Points: 1000}, queue.DropOldest)
	require.NoError(t, err)
	return &observedQueue{m, beforeTake}
}

// panickyQueue is a queue in memory that panics in one of its methods.
type panickyQueue struct {
	*queue.Memory
	in atomic.Value // the name of the method
}

func newPanickyQueue(t *testing.T, method string) *panickyQueue {
	t.Helper()
	m, err := queue.NewMemory(queue.Bound{Points: 1000}, queue.DropOldest)
	require.NoError(t, err)
	q := &panickyQueue{Memory: m}
	q.in.Store(method)
	return q
}

func (q *panickyQueue) act(method string) {
	if q.in.Load() == method {
		panic("queue")
	}
}

func (q *panickyQueue) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	q.act("Put")
	return q.Memory.Put(ctx, rm)
}

func (q *panickyQueue) Take(ctx context.Context, l queue.Limit) (queue.Entry, error) {
	q.act("Take")
	entry, err := q.Memory.Take(ctx, l)
	return panickyEntry{entry, q}, err
}

func (q *panickyQueue) Stats() queue.Stats {
	q.act("Stats")
	return q.Memory.Stats()
}

func (q *panickyQueue) Seal() {
	q.Memory.Seal()
	q.act("Seal")
}

func (q *panickyQueue) Close() error {
	_ = q.Memory.Close()
	q.act("Close")
	return nil
}

type panickyEntry struct {
	queue.Entry
	queue *panickyQueue
}

func (e panickyEntry) Collection() *metricdata.ResourceMetrics {
	e.queue.act("Collection")
	return e.Entry.Collection()
}

func (e panickyEntry) Settle(o queue.Outcome) error {
	e.queue.act("Settle")
	return e.Entry.Settle(o)
}

// meters is where the metrics of exporters about themselves go.
type meters struct {
	*metric.MeterProvider
	reader *metric.ManualReader
}

func (m meters) option() asyncmetric.Option { return asyncmetric.WithMeterProvider(m) }

// collect returns the metrics by name.
func (m meters) collect(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, m.reader.Collect(t.Context(), &rm))
	byName := make(map[string]metricdata.Metrics)
	for _, sm := range rm.ScopeMetrics {
		assert.Equal(t, "github.com/asyncmetric/asyncmetric", sm.Scope.Name)
		assert.Equal(t, semconv.SchemaURL, sm.Scope.SchemaURL)
		for _, metric := range sm.Metrics {
			byName[metric.Name] = metric
		}
	}
	return byName
}

// of returns the values of e, all but queue.usage: how much memory a collection
// takes is not what most tests are about.
func (m meters) of(t *testing.T, e *asyncmetric.Exporter) values {
	t.Helper()
	vs := make(values)
	for name, metric := range m.collect(t) {
		name = shorten(name)
		if name == "queue.usage" {
			continue
		}
		set := func(attributes attribute.Set, suffix string, v float64) {
			if extra, ok := ofComponent(t, e, attributes); ok {
				vs[name+extra+suffix] = v
			}
		}
		switch data := metric.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				set(p.Attributes, "", float64(p.Value))
			}
		case metricdata.Gauge[float64]:
			for _, p := range data.DataPoints {
				set(p.Attributes, "", p.Value)
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				set(p.Attributes, " count", float64(p.Count))
				set(p.Attributes, " sum", p.Sum)
			}
		default:
			t.Errorf("%s has %T", name, data)
		}
	}
	return vs
}

func newMeters(opts ...metric.Option) meters {
	reader := metric.NewManualReader()
	return meters{metric.NewMeterProvider(append(opts, metric.WithReader(reader))...), reader}
}

// sumOf adds up the values whose names have the prefix and the suffix.
func (v values) sumOf(prefix, suffix string) (sum float64) {
	for name, value := range v {
		if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) {
			sum += value
		}
	}
	return sum
}

// values are the points of one exporter: the name of the metric without its
// first part, and an attribute if there is one besides those of the component.
// Histograms have a count and a sum.
type values map[string]float64

// and returns v with the values of more, which win.
func (v values) and(more values) values {
	all := maps.Clone(v)
	maps.Copy(all, more)
	return all
}

// shorten cuts off the first part of the name of a metric.
func shorten(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "otel.sdk.exporter."), "asyncmetric.")
}

// ofComponent reports whether a point is one of e, and returns the attributes
// that it has besides.
func ofComponent(t *testing.T, e *asyncmetric.Exporter, attributes attribute.Set) (extra string, ok bool) {
	t.Helper()
	for _, kv := range attributes.ToSlice() {
		switch kv.Key {
		case "otel.component.name":
			ok = kv.Value.AsString() == e.Status().Name
		case "otel.component.type":
			assert.Equal(t, "github.com/asyncmetric/asyncmetric.Exporter", kv.Value.AsString())
		default:
			extra += fmt.Sprintf(" %s=%s", kv.Key, kv.Value.AsString())
		}
	}
	return extra, ok
}

// idle is what is observed of an exporter that has nothing to do.
func idle() values {
	return values{
		"metric_data_point.inflight": 0,
		"queue.size":                 0,
		"queue.limit":                64 << 20,
		"queue.oldest_age":           0,
		"data_points.coalesced":      0,
		"data_points.refused":        0,
		"exemplars.dropped":          0,
	}
}

// slowQueue is a queue in memory whose collections of one value take time to be
// read.
type slowQueue struct {
	*queue.Memory
	takes time.Duration
	value int64
}

func newSlowQueue(t *testing.T, takes time.Duration, value int64) slowQueue {
	t.Helper()
	m, err := queue.NewMemory(queue.Bound{Points: 1000}, queue.DropOldest)
	require.NoError(t, err)
	return slowQueue{m, takes, value}
}

func (q slowQueue) Take(ctx context.Context, limit queue.Limit) (queue.Entry, error) {
	entry, err := q.Memory.Take(ctx, limit)
	if err != nil {
		return nil, err
	}
	return slowEntry{entry, q}, nil
}

type slowEntry struct {
	queue.Entry
	queue slowQueue
}

func (e slowEntry) Collection() *metricdata.ResourceMetrics {
	rm := e.Entry.Collection()
	if metrictest.Value(rm) == e.queue.value {
		time.Sleep(e.queue.takes)
	}
	return rm
}

// settledQueue is a queue that notes how its entries are settled.
type settledQueue struct {
	*observedQueue
	outcomes []queue.Outcome
}

func (q *settledQueue) Take(ctx context.Context, limit queue.Limit) (queue.Entry, error) {
	entry, err := q.observedQueue.Take(ctx, limit)
	if err != nil {
		return nil, err
	}
	return settledEntry{entry, q}, nil
}

type settledEntry struct {
	queue.Entry
	queue *settledQueue
}

func (e settledEntry) Settle(o queue.Outcome) error {
	e.queue.outcomes = append(e.queue.outcomes, o)
	return e.Entry.Settle(o)
}

// A brokenQueue is one of the application of which single methods are replaced.
type brokenQueue struct {
	queue.Queue
	put   func(context.Context, *metricdata.ResourceMetrics) error
	take  func(context.Context, queue.Limit) (queue.Entry, error)
	ready func() <-chan struct{}
	stats func() queue.Stats
	info  func() queue.Info
	close func() error
}

func newBrokenQueue(t *testing.T, points int, overflow queue.Overflow) *brokenQueue {
	m, err := queue.NewMemory(queue.Bound{Points: points}, overflow)
	require.NoError(t, err)
	return &brokenQueue{
		Queue: m, put: m.Put, take: m.Take, ready: m.Ready, stats: m.Stats, info: m.Info, close: m.Close,
	}
}

func (q *brokenQueue) Put(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	return q.put(ctx, rm)
}
func (q *brokenQueue) Take(ctx context.Context, l queue.Limit) (queue.Entry, error) {
	return q.take(ctx, l)
}
func (q *brokenQueue) Ready() <-chan struct{} { return q.ready() }
func (q *brokenQueue) Stats() queue.Stats     { return q.stats() }
func (q *brokenQueue) Info() queue.Info       { return q.info() }
func (q *brokenQueue) Close() error           { return q.close() }

// namedByServer is a Retry without jitter that takes hints for what the server
// says.
var namedByServer = asyncmetric.WithRetry(asyncmetric.Retry{Jitter: -1, Classify: asHint})

// panickyIs is an error that cannot be compared.
type panickyIs struct{}

func (panickyIs) Error() string { return "panicky" }
func (panickyIs) Is(error) bool { panic("is") }

// manyPoints is an entry that has less than it says.
type manyPoints struct{ queue.Entry }

func (e manyPoints) Points() int { return e.Entry.Points() + 1 }
