package backend_test

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/backend"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBackendTakesWhatItSaysThatItTakes(t *testing.T) {
	counter := new(backend.Counter)
	b, err := backend.Open(backend.Options{Handler: counter})
	require.NoError(t, err)
	send := sender(t, b)

	require.NoError(t, send(metrictest.Numbers(5, 3)))
	require.NoError(t, b.Fail())
	require.ErrorContains(t, send(metrictest.Numbers(5, 3)), "503")
	require.NoError(t, b.Refuse())
	_ = send(metrictest.Numbers(5, 3)) // finds out that its connection has been closed
	require.ErrorIs(t, send(metrictest.Numbers(5, 3)), syscall.ECONNREFUSED)
	require.NoError(t, b.Fail(), "after having been away")
	require.ErrorContains(t, send(metrictest.Numbers(5, 3)), "503")
	require.NoError(t, b.Recover())
	require.NoError(t, send(metrictest.Histograms(2)))
	require.NoError(t, b.Close())
	require.NoError(t, b.Close(), "again")

	assert.Equal(t, 7, counter.Points())
	assert.Equal(t, workload.Totals{Increments: 15, Recordings: 120 + 136}, counter.Received())
	assert.Equal(t, int64(2), b.Answered())
}

func TestPrometheusRefusesWhatIsOlder(t *testing.T) {
	p, err := backend.OpenPrometheus(t.TempDir())
	require.NoError(t, err)
	b, err := backend.Open(backend.Options{Handler: p})
	require.NoError(t, err)
	send := sender(t, b)
	w, err := workload.New(10, workload.Counters, sdkmetric.DefaultTemporalitySelector)
	require.NoError(t, err)
	var collected []*metricdata.ResourceMetrics
	for range 3 {
		rm, err := w.Collect(t.Context())
		require.NoError(t, err)
		collected = append(collected, rival.DeepCopy(rm))
		awaitNextMillisecond(t, w)
	}
	require.NoError(t, send(collected[0]))
	require.NoError(t, send(collected[2]))
	require.Error(t, send(collected[1]))
	assert.Equal(t, int64(1), p.Refused())
	samples, err := p.Samples(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 20, samples)
	require.NoError(t, errors.Join(b.Close(), p.Close(), w.Shutdown(context.Background())))
}

// awaitNextMillisecond returns when what is collected has another time for
// Prometheus.
func awaitNextMillisecond(t *testing.T, w *workload.Workload) {
	at := func() int64 {
		rm, err := w.Collect(t.Context())
		require.NoError(t, err)
		return rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints[0].Time.UnixMilli()
	}
	for first := at(); at() == first; {
	}
}

// sender returns how to send a collection once.
func sender(t *testing.T, b *backend.Backend) func(*metricdata.ResourceMetrics) error {
	target := rival.NewHTTP(b.Endpoint(), sdkmetric.DefaultTemporalitySelector, 1)
	t.Cleanup(target.Close)
	var c rival.Converter
	return func(rm *metricdata.ResourceMetrics) error {
		md, err := c.Convert(rm)
		require.NoError(t, err)
		return target.Push(t.Context(), md)
	}
}
