package asyncmetric_test

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Errors that the default classification calls retryable and permanent.
var (
	errTransient = context.DeadlineExceeded
	errPermanent = error(&statusError{&status{code: 3}})
)

// fixed is a Retry without randomness: 1 s, 2 s, 4 s, then 4 s.
var fixed = asyncmetric.WithRetry(asyncmetric.Retry{Multiplier: 2, MaxInterval: 4e9, Jitter: -1})

// record collects what an exporter reports.
type record struct {
	mu    sync.Mutex
	errs  []error
	drops []asyncmetric.Drop
}

// options makes an exporter report to r.
func (r *record) options() []asyncmetric.Option {
	return []asyncmetric.Option{
		asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.errs = append(r.errs, err)
		})),
		asyncmetric.WithOnDrop(func(d asyncmetric.Drop) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.drops = append(r.drops, d)
		}),
	}
}

func (r *record) errors() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.errs...)
}

// dropped returns the points dropped for each reason.
func (r *record) dropped() map[asyncmetric.DropReason]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := make(map[asyncmetric.DropReason]int)
	for _, d := range r.drops {
		sum[d.Reason] += d.Points
	}
	return sum
}

// start returns an exporter in front of inner that reports to the record.
func start(t *testing.T, inner *metrictest.Exporter, opts ...asyncmetric.Option) (*asyncmetric.Exporter, *record) {
	t.Helper()
	r := &record{}
	e, err := asyncmetric.New(inner, append(r.options(), opts...)...)
	require.NoError(t, err)
	return e, r
}

// export exports one point for each of the values, in order.
func export(t *testing.T, e *asyncmetric.Exporter, values ...int64) {
	t.Helper()
	for _, v := range values {
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(1, v)))
	}
}

// shutdown shuts e down and demands that the contracts with both sides were
// kept: everything is accounted for, and no calls of inner overlapped.
func shutdown(t *testing.T, e *asyncmetric.Exporter, inner *metrictest.Exporter) {
	t.Helper()
	assert.NoError(t, e.Shutdown(context.Background()))
	assertSettled(t, e.Stats())
	assert.Zero(t, inner.Overlaps(), "calls of the inner exporter overlapped")
	assert.Equal(t, 1, inner.Count("Shutdown"))
}

// assertConserved demands that each accepted point is accounted for.
func assertConserved(t assert.TestingT, s asyncmetric.Stats) bool {
	return assert.Equal(t, s.Accepted, s.Exported+s.Dropped+s.Coalesced+uint64(s.Queued), "%+v", s) &&
		assert.LessOrEqual(t, s.InFlight, s.Queued, "%+v", s)
}

// assertSettled demands in addition that nothing is queued.
func assertSettled(t *testing.T, s asyncmetric.Stats) {
	t.Helper()
	assertConserved(t, s)
	assert.Zero(t, s.Queued)
	assert.Zero(t, s.InFlight)
	assert.Zero(t, s.QueuedCollections)
	assert.Zero(t, s.OldestAge)
}

// elapse lets time pass in a synctest bubble, and waits for what it causes.
func elapse(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// gate lets the calls that pass through it wait until it is opened.
type gate struct {
	arrived chan struct{} // receives for each call that waits
	open    chan struct{} // closed, or sent to, to let calls go on
}

func newGate() *gate {
	return &gate{arrived: make(chan struct{}, 1000), open: make(chan struct{})}
}

// pass waits for the gate, or for ctx, whose error it returns.
func (g *gate) pass(ctx context.Context) error {
	g.arrived <- struct{}{}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// export passes the gate; it can be used as OnExport.
func (g *gate) export(ctx context.Context, _ *metricdata.ResourceMetrics) error { return g.pass(ctx) }

// stuck waits for the gate and ignores ctx.
func (g *gate) stuck(context.Context, *metricdata.ResourceMetrics) error {
	return g.pass(context.Background())
}

// isRace reports whether the race detector is on, which makes everything ten times
// as slow.
func isRace() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// shutdownAll is shutdown for several exporters.
func shutdownAll(t *testing.T, e *asyncmetric.Exporter, all []*metrictest.Exporter) {
	t.Helper()
	shutdown(t, e, all[0])
	for _, inner := range all[1:] {
		assert.Zero(t, inner.Overlaps())
		assert.Equal(t, 1, inner.Count("Shutdown"))
	}
}

// texts returns what the error handler got.
func (r *record) texts() []string {
	var texts []string
	for _, err := range r.errors() {
		texts = append(texts, err.Error())
	}
	return texts
}

// giveUp shuts e down with an ended context, whatever becomes of the data.
func giveUp(e *asyncmetric.Exporter) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return e.Shutdown(ctx)
}

// reported adds up the data points of all drops that were reported.
func reported(r *record) (points int) {
	for _, text := range r.texts() {
		var n int
		_, _ = fmt.Sscanf(text, "asyncmetric: %d", &n)
		points += n
	}
	return points
}

// shutdownFailing shuts e down, which has something to report.
func shutdownFailing(t *testing.T, e *asyncmetric.Exporter) {
	t.Helper()
	assert.Error(t, e.Shutdown(t.Context()))
	assertSettled(t, e.Stats())
}

// giveUpOf shuts e down within d.
func giveUpOf(e *asyncmetric.Exporter, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return e.Shutdown(ctx)
}
