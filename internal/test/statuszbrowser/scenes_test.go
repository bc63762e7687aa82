package statuszbrowser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/statusz"
)

// hostile is what a server might answer to harm those who look.
var hostile = `</td></style><script>alert("1")</script><img src=x onerror="console.error(2)">` +
	"\u202Egnp.exe\u202C \x1b[31m\x00 \xff " + strings.Repeat("W", 300) + "\n\tat Z\u0335\u0336\u0337algo שלום"

// hostileVisible is a part of it as the page has to show it.
const hostileVisible = `</td></style><script>alert("1")</script><img src=x onerror="console.error(2)">` +
	`\u{202E}gnp.exe\u{202C} \u{1B}[31m\u{0} ` + "\uFFFD WWW"

// scene is an exporter in a state that lasts until the test ends.
type scene struct {
	state asyncmetric.State
	begin func(*testing.T) *asyncmetric.Exporter
}

var scenes = map[string]scene{
	"idle":        {asyncmetric.StateIdle, idle},
	"delivering":  {asyncmetric.StateDelivering, delivering},
	"backing off": {asyncmetric.StateBackingOff, backingOff},
	"draining":    {asyncmetric.StateDraining, draining},
	"shut down":   {asyncmetric.StateShutDown, shutDown},
	"unbounded":   {asyncmetric.StateDelivering, unbounded},
}

// enter returns an exporter once it is in the state of the scene.
func (s scene) enter(t *testing.T) *asyncmetric.Exporter {
	t.Helper()
	e := s.begin(t)
	require.Eventually(t, func() bool { return e.Status().State == s.state }, 10*time.Second, time.Millisecond)
	return e
}

// serve serves the page of these exporters, and counts the requests.
func serve(t *testing.T, exporters ...*asyncmetric.Exporter) (url string, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	page := statusz.Handler(exporters...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		page.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

func idle(t *testing.T) *asyncmetric.Exporter { return start(t, &metrictest.Exporter{}) }

func delivering(t *testing.T) *asyncmetric.Exporter {
	e := start(t, stuck(t), asyncmetric.WithMaxQueueSize(2000))
	fill(t, e, 480, 480, 480, 480, 160)
	return e
}

func backingOff(t *testing.T) *asyncmetric.Exporter {
	inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
		return fmt.Errorf("%s: %w", hostile, context.DeadlineExceeded)
	}}
	e := start(t, inner,
		asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Hour, MaxInterval: time.Hour}),
		asyncmetric.WithMaxQueueSize(1000))
	fill(t, e, 480, 480, 480, 480, 480)
	return e
}

func draining(t *testing.T) *asyncmetric.Exporter {
	e := delivering(t)
	ctx, cancel := context.WithCancel(context.Background())
	var shutdown sync.WaitGroup
	shutdown.Go(func() { _ = e.Shutdown(ctx) })
	t.Cleanup(func() { cancel(); shutdown.Wait() })
	return e
}

func shutDown(t *testing.T) *asyncmetric.Exporter {
	e := idle(t)
	fill(t, e, 480)
	require.NoError(t, e.Shutdown(t.Context()))
	return e
}

// boundless is a queue that does not say how much may wait.
type boundless struct{ queue.Queue }

func (q boundless) Info() queue.Info {
	info := q.Queue.Info()
	info.MaxPoints, info.MaxBytes, info.CountsBytes = 0, 0, false
	return info
}

func unbounded(t *testing.T) *asyncmetric.Exporter {
	q, err := queue.NewMemory(queue.Bound{Points: 1_000_000}, queue.Coalesce)
	require.NoError(t, err)
	e := start(t, stuck(t), asyncmetric.WithQueue(boundless{q}))
	fill(t, e, 480, 123_456)
	return e
}

// start returns an exporter that is shut down, in a hurry, with the test.
func start(t *testing.T, inner *metrictest.Exporter, opts ...asyncmetric.Option) *asyncmetric.Exporter {
	quiet := asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	e, err := asyncmetric.New(inner, append(opts, quiet)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = e.Shutdown(ctx)
	})
	return e
}

// stuck is an inner exporter whose calls last until they are cancelled.
func stuck(t *testing.T) *metrictest.Exporter {
	return &metrictest.Exporter{OnExport: func(ctx context.Context, _ *metricdata.ResourceMetrics) error {
		<-ctx.Done()
		return ctx.Err()
	}}
}

// fill exports collections of so many points, the first of which is taken for
// delivery before the others come.
func fill(t *testing.T, e *asyncmetric.Exporter, points ...int) {
	t.Helper()
	for _, n := range points {
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(n, 1)))
		require.Eventually(t, func() bool { s := e.Stats(); return s.Queued == 0 || s.InFlight > 0 }, 10*time.Second, time.Millisecond)
	}
}
