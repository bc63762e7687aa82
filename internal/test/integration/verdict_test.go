package integration

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// A verdict is what asyncmetric has to make of a fault.
type verdict struct {
	retry   bool
	split   bool
	repeats bool          // where it is sent again, it is sent in parts at the second failure
	after   time.Duration // that the server asks for
	dropped int           // points
}

func (v verdict) action() asyncmetric.Action {
	if v.retry {
		return asyncmetric.ActionRetry
	}
	if v.split {
		return asyncmetric.ActionSplit
	}
	return asyncmetric.ActionDrop
}

var (
	again   = verdict{retry: true}
	never   = verdict{dropped: points}
	halved  = verdict{split: true}
	partial = verdict{dropped: rejected}
	warning = verdict{} // everything was taken, but the server had something to say
)

// delay is what servers ask for here. Nothing ever waits that long.
const delay = 2 * time.Hour

var againAfterDelay = verdict{retry: true, after: delay}

// settings are those of an OTLP exporter. RetryConfig is the same struct in
// both protocols.
type settings struct {
	retry   otlpmetrichttp.RetryConfig
	timeout time.Duration
	limit   time.Duration // of the time for which asyncmetric tries again, 0 for none
}

// An endpoint is a server that misbehaves, and how to get exporters for it.
type endpoint struct {
	*backend
	exporter func(settings) (metric.Exporter, error)
}

// withTimeout returns how to get exporters that have a timeout of their own.
func (e endpoint) withTimeout(d time.Duration) func(settings) (metric.Exporter, error) {
	return func(s settings) (metric.Exporter, error) {
		s.timeout = d
		return e.exporter(s)
	}
}

// ownRetries are what OTLP exporters do about a fault themselves. They wrap the
// error differently.
var ownRetries = map[string]otlpmetrichttp.RetryConfig{
	"that does not retry": {Enabled: false},
	"that gave up":        {Enabled: true, InitialInterval: 1, MaxInterval: 1, MaxElapsedTime: 1},
}

// testFault demands the verdict for a fault of the endpoints that open returns.
func testFault(t *testing.T, open func(*testing.T) endpoint, want verdict) {
	for name, retry := range ownRetries {
		t.Run("the error of an exporter "+name+" is classified", func(t *testing.T) {
			testClassified(t, open(t), settings{retry: retry}, want)
		})
		t.Run("the batch of an exporter "+name+" ends", func(t *testing.T) {
			testDelivered(t, open(t), settings{retry: retry}, want)
		})
	}
}

// testClassified sends one batch without asyncmetric and classifies the error.
func testClassified(t *testing.T, server endpoint, s settings, want verdict) {
	exporter, err := server.exporter(s)
	require.NoError(t, err)
	failure := exporter.Export(t.Context(), metrictest.Numbers(points, 1))
	require.NoError(t, exporter.Shutdown(t.Context()))
	require.Error(t, failure)
	assertClassified(t, want, failure)
	_, delivered := server.record()
	assert.Empty(t, delivered)
}

func assertClassified(t *testing.T, want verdict, err error) {
	t.Helper()
	got := asyncmetric.DefaultClassify(err)
	assert.Equal(t, want.action(), got.Action, "%v", err)
	assert.InDelta(t, want.after, got.After, float64(tolerance(want.after)), "%v", err)
}

// tolerance is that of a delay: a date has no fractions of a second, and time
// goes by.
func tolerance(d time.Duration) time.Duration {
	if d == delay {
		return time.Minute
	}
	return 0
}

// An outcome is what became of a batch that was sent through asyncmetric.
type outcome struct {
	failed    int   // requests that the server failed
	delivered []int // the points of the requests that it took
	stats     asyncmetric.Stats
	flushErr  error
	record
}

// deliver sends one batch through asyncmetric, until it has ended.
func (server endpoint) deliver(t *testing.T, s settings) *outcome {
	inner, err := server.exporter(s)
	require.NoError(t, err)
	o := &outcome{}
	e, err := asyncmetric.New(inner, append(o.options(),
		asyncmetric.WithRetry(asyncmetric.Retry{
			InitialInterval: time.Millisecond, MaxInterval: time.Millisecond, MaxElapsedTime: s.limit,
		}))...)
	require.NoError(t, err)
	require.NoError(t, e.Export(t.Context(), metrictest.Numbers(points, 1)))
	o.flushErr = e.ForceFlush(t.Context())
	require.NoError(t, e.Shutdown(t.Context()))
	o.stats = e.Stats()
	o.failed, o.delivered = server.record()
	return o
}

// testDelivered sends one batch through asyncmetric, and demands that it comes
// to its end on both sides.
func testDelivered(t *testing.T, server endpoint, s settings, want verdict) {
	before, _ := server.record()
	o := server.deliver(t, s)
	if want.split {
		assert.Greater(t, len(o.delivered), 1, "in parts")
		o.stats.Retries = 0
		assert.Equal(t, asyncmetric.Stats{Accepted: points, Exported: points}, o.stats)
		assert.NoError(t, o.flushErr)
		assert.Empty(t, o.drops)
		return
	}
	if want.retry {
		assert.Equal(t, failures, o.failed, "sent again until the server is healthy")
		if want.repeats {
			assert.Equal(t, []int{2, 1, 2}, o.delivered, "halved from the second failure on")
		} else {
			assert.Equal(t, []int{points}, o.delivered, "and then no more")
		}
		assert.NoError(t, o.flushErr)
	} else {
		assert.Equal(t, before+1, o.failed, "sent once")
		assert.Empty(t, o.delivered)
	}
	assert.Equal(t, want.retry, o.stats.Retries > 0)
	o.stats.Retries = 0
	assert.Equal(t, asyncmetric.Stats{
		Accepted: points, Exported: uint64(points - want.dropped), Dropped: uint64(want.dropped),
	}, o.stats)

	require.NotEmpty(t, o.errs)
	assertClassified(t, want, o.errs[0])
	if want.retry {
		require.Len(t, o.errs, 2, "one report of the begin and one of the end")
		assertOutage(t, o.errs[0], false)
		assertOutage(t, o.errs[1], true)
	} else {
		require.Len(t, o.errs, 1, "one report of the end")
	}
	if want.dropped == 0 {
		assert.Empty(t, o.drops)
		return
	}
	require.Len(t, o.drops, 1)
	drop := o.drops[0]
	assert.Equal(t, want.dropped, drop.Points)
	assert.Equal(t, queue.ReasonPermanent, drop.Reason)
	assert.ErrorIs(t, o.errs[0], drop.Err)
	if o.flushErr != nil { // the batch had not ended before the flush began
		assert.ErrorIs(t, o.flushErr, drop.Err)
	}
}

func assertOutage(t *testing.T, err error, over bool) {
	t.Helper()
	var outage *asyncmetric.OutageError
	require.ErrorAs(t, err, &outage)
	assert.Equal(t, over, outage.Over)
}

// testDelayBeyondOwnLimit demands that the delay is seen also in the error of
// an exporter that finds it too long for its own retry.
func testDelayBeyondOwnLimit(t *testing.T, server endpoint) {
	retry := otlpmetrichttp.RetryConfig{Enabled: true, InitialInterval: 1, MaxInterval: 1, MaxElapsedTime: delay / 2}
	testClassified(t, server, settings{retry: retry}, againAfterDelay)
}

// testDeadlines demands that batches are sent again after a server that does
// not answer, whosever deadline it was that passed.
func testDeadlines(t *testing.T, open func(*testing.T) endpoint) {
	for name, retry := range ownRetries {
		t.Run("of the attempt, with an exporter "+name, func(t *testing.T) {
			exporter, err := open(t).exporter(settings{retry: retry})
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			failure := exporter.Export(ctx, metrictest.Numbers(points, 1))
			require.NoError(t, exporter.Shutdown(t.Context()))
			require.Error(t, failure)
			assertClassified(t, again, failure)
		})
		t.Run("of an exporter "+name, func(t *testing.T) {
			testClassified(t, open(t), settings{retry: retry, timeout: time.Millisecond}, again)
		})
	}
}

// record collects what an exporter reports. It is complete after Shutdown.
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
