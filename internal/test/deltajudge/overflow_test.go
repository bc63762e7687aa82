package deltajudge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/asyncmetric/asyncmetric"
)

// A way is one in which data comes to the queue.
type way struct {
	name         string
	pieceSize    int // the most points that the reader exports at once, 0 if all
	applications []application
}

// ways returns new ones each time, as the applications keep what they count.
func ways() []way {
	return []way{
		{name: "whole collections", applications: []application{{name: "shop", customers: 3}}},
		{name: "collections in pieces", pieceSize: 7, applications: []application{{name: "shop", customers: 3}}},
		{name: "two resources in turn", applications: []application{{name: "shop", customers: 3}, {name: "bank", customers: 3}}},
		{name: "series that come once", applications: []application{{name: "shop", customers: 10, visitors: 20}}},
		{name: "all of that", pieceSize: 31, applications: []application{
			{name: "shop", customers: 10, visitors: 20}, {name: "bank", customers: 3},
		}},
	}
}

// An outage is what calls of the inner exporter do for a while.
type outage struct {
	name    string
	timeout time.Duration // of a call
	call    func(ctx context.Context, over <-chan struct{}) error
}

// retried is an error after which asyncmetric sends a batch again.
var retried = status.Error(codes.Unavailable, "a fault on purpose")

var outages = []outage{
	{"fails", time.Minute, func(context.Context, <-chan struct{}) error { return retried }},
	{"does not return until its context ends", 20 * time.Millisecond, func(ctx context.Context, _ <-chan struct{}) error {
		<-ctx.Done()
		return ctx.Err()
	}},
	{"does not return until the outage is over", time.Minute, func(_ context.Context, over <-chan struct{}) error {
		<-over
		return nil
	}},
}

// roomFor is how many collections of each application the queue has room for,
// and each outage takes many times as many.
const (
	roomFor             = 3
	collectionsInOutage = 100
)

// A queue that overflows leaves each series in order, and its total is what was
// counted. Only of the series that come once some may be missing, as no queue
// has room for all of them.
func TestTheProcessorHasWhatWasCountedAfterAnOverflow(t *testing.T) {
	for _, o := range outages {
		for _, w := range ways() {
			t.Run(fmt.Sprintf("%s/inner exporter %s", w.name, o.name), func(t *testing.T) {
				t.Parallel()
				suffer(t, w, o)
			})
		}
	}
}

func suffer(t *testing.T, w way, o outage) {
	inner := &inner{judge: newJudge(t)}
	room := 0
	for i := range w.applications {
		room += roomFor * w.applications[i].points()
	}
	dropped := make(map[string]int)
	e, err := asyncmetric.New(inner,
		asyncmetric.WithMaxQueueSize(room), asyncmetric.WithExportTimeout(o.timeout), asyncmetric.WithDrainTimeout(time.Minute),
		asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Millisecond, MaxInterval: 5 * time.Millisecond}),
		asyncmetric.WithOnDrop(func(d asyncmetric.Drop) { dropped[string(d.Reason)] += d.Points }),
		asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {})))
	require.NoError(t, err)
	for i := range w.applications {
		w.applications[i].open(t, sdkmetric.NewPeriodicReader(collector{e},
			sdkmetric.WithInterval(time.Hour), sdkmetric.WithMaxExportBatchSize(w.pieceSize)))
	}

	w.collect(t, 2)
	require.NoError(t, e.ForceFlush(t.Context()))
	for range 2 { // the second begins while what the first has left is delivered
		over := inner.begin(o)
		w.collect(t, collectionsInOutage/2)
		inner.awaitCall(t)
		w.collect(t, collectionsInOutage/2)
		inner.awaitCall(t)
		over()
		w.collect(t, 1)
	}
	for _, a := range w.applications {
		require.NoError(t, a.provider.Shutdown(t.Context()))
	}
	require.NoError(t, e.Shutdown(context.Background()))

	s := e.Stats()
	assert.NotZero(t, s.Coalesced+s.Dropped, "no overflow")
	points, refused := inner.judge.heard(t)
	assert.Equal(t, s.Exported, uint64(points))
	assert.Empty(t, refused, "by the processor")
	assert.Empty(t, inner.judge.overlaps)
	w.assertCounted(t, inner.judge.totals)
	if !w.hasVisitors() {
		assert.Empty(t, dropped, "points, by reason")
	}
}

// collect has each application work and be collected, in turn, n times.
func (w way) collect(t *testing.T, n int) {
	for range n {
		for i := range w.applications {
			w.applications[i].work()
			require.NoError(t, w.applications[i].provider.ForceFlush(t.Context()))
		}
	}
}

func (w way) hasVisitors() bool {
	for _, a := range w.applications {
		if a.visitors > 0 {
			return true
		}
	}
	return false
}

// assertCounted demands that the totals are what the applications have counted.
func (w way) assertCounted(t *testing.T, found totals) {
	t.Helper()
	wrong, all := 0, 0
	for _, a := range w.applications {
		for _, series := range slices.Sorted(maps.Keys(a.counted)) {
			if all++; !maps.Equal(a.counted[series], found[series]) {
				if wrong++; wrong == 1 {
					assert.Equal(t, a.counted[series], found[series], series)
				}
			}
			delete(found, series)
		}
		for series, v := range a.visits {
			if got, is := found[series]; is {
				assert.Equal(t, v, got, series)
			}
			delete(found, series)
		}
	}
	assert.Zero(t, wrong, "series with another total, of %d", all)
	assert.Empty(t, found, "never counted")
}

// An inner exporter brings what it gets to the judge, when there is no outage.
type inner struct {
	judge *judge
	state atomic.Pointer[state]
}

// A state is an outage that is under way.
type state struct {
	outage
	over  chan struct{}
	calls atomic.Int64
}

// begin starts an outage. The function that it returns ends it.
func (i *inner) begin(o outage) (end func()) {
	s := &state{outage: o, over: make(chan struct{})}
	i.state.Store(s)
	return func() {
		i.state.Store(nil)
		close(s.over)
	}
}

// awaitCall returns when there has been a call in this outage.
func (i *inner) awaitCall(t *testing.T) {
	s := i.state.Load()
	require.Eventually(t, func() bool { return s.calls.Load() > 0 }, time.Minute, time.Millisecond)
}

// Temporality implements [sdkmetric.Exporter]. Unlike that of the SDK, it
// chooses delta for counters that go up and down, too.
func (*inner) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.DeltaTemporality
}

// Aggregation implements [sdkmetric.Exporter].
func (*inner) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

// Export implements [sdkmetric.Exporter].
func (i *inner) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if s := i.state.Load(); s != nil {
		s.calls.Add(1)
		if err := s.call(ctx, s.over); err != nil {
			return err
		}
	}
	return i.judge.hear(context.WithoutCancel(ctx), rm)
}

// ForceFlush implements [sdkmetric.Exporter].
func (*inner) ForceFlush(context.Context) error { return nil }

// Shutdown implements [sdkmetric.Exporter].
func (*inner) Shutdown(context.Context) error { return nil }

// A collector stands between a reader and asyncmetric, which may have several
// readers. A flush of the reader collects, and does not wait for the delivery.
type collector struct{ *asyncmetric.Exporter }

func (collector) ForceFlush(context.Context) error { return nil }

func (collector) Shutdown(context.Context) error { return nil }
