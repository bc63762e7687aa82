package integration

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A store is what Prometheus has behind its OTLP endpoint: the handler of the
// requests and the database, the real ones. It can be closed and opened again,
// as when Prometheus restarts.
type store struct {
	t       *testing.T
	dir     string
	options *tsdb.Options
	otlp    remote.OTLPOptions

	db         *tsdb.DB
	handler    http.Handler
	registries []*prometheus.Registry // one for each time that it was opened

	mu      sync.Mutex
	answers map[int]int // how many, by status
}

// storeOption changes the settings of a store.
type storeOption func(*store)

// nativeDelta makes a store keep delta samples as they are. It is the feature
// flag otlp-native-delta-ingestion.
func nativeDelta(s *store) { s.otlp.NativeDelta = true }

// convertDelta makes a store add delta samples up. It is the feature flag
// otlp-deltatocumulative.
func convertDelta(s *store) { s.otlp.ConvertDelta = true }

// outOfOrder makes a store accept samples that are older than others of their
// series, as storage.tsdb.out_of_order_time_window in its configuration does.
func outOfOrder(s *store) { s.options.OutOfOrderTimeWindow = time.Hour.Milliseconds() }

func openStore(t *testing.T, options ...storeOption) *store {
	s := &store{t: t, dir: t.TempDir(), options: tsdb.DefaultOptions(), answers: make(map[int]int)}
	for _, option := range options {
		option(s)
	}
	s.open()
	t.Cleanup(s.close)
	return s
}

func (s *store) open() {
	registry, logger := prometheus.NewRegistry(), promslog.NewNopLogger()
	db, err := tsdb.Open(s.dir, logger, registry, s.options, nil)
	require.NoError(s.t, err)
	db.DisableCompactions()
	s.db, s.registries = db, append(s.registries, registry)
	s.handler = remote.NewOTLPWriteHandler(logger, registry, db, func() config.Config { return config.DefaultConfig }, s.otlp)
}

func (s *store) close() { assert.NoError(s.t, s.db.Close()) }

// restart must not be called while a request is served.
func (s *store) restart() {
	s.close()
	s.open()
}

// ServeHTTP implements http.Handler.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, r)
	s.mu.Lock()
	s.answers[answer.Code]++
	s.mu.Unlock()
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// answered returns how many requests were answered with the status.
func (s *store) answered(status int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers[status]
}

// What Prometheus counts of the samples that it does not like.
const (
	outOfOrderSamples = "prometheus_tsdb_out_of_order_samples_total"
	outOfBoundSamples = "prometheus_tsdb_out_of_bound_samples_total"
	tooOldSamples     = "prometheus_tsdb_too_old_samples_total"

	// takenOutOfOrder are those that it takes all the same, with the option
	// outOfOrder.
	takenOutOfOrder = "prometheus_tsdb_head_out_of_order_samples_appended_total"
)

// counter returns what one of Prometheus' own counters says, all times that the
// store was opened taken together, for one kind of sample: float or histogram.
func (s *store) counter(name, kind string) (sum float64) {
	for _, registry := range s.registries {
		families, err := registry.Gather()
		require.NoError(s.t, err)
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == name && m.GetLabel()[0].GetValue() == kind {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// assertNothingRefused demands that the store has taken everything that it was
// sent: it answers a request with 400 if it refuses a sample for its order, or
// because it has another value for that time.
//
// Prometheus takes a sample that it has already as if it were new, and counts
// nothing. But if it is a native histogram, it is counted as out of order.
func (s *store) assertNothingRefused(repeated bool) {
	s.t.Helper()
	for _, name := range []string{outOfOrderSamples, outOfBoundSamples, tooOldSamples} {
		assert.Zero(s.t, s.counter(name, "float"), name)
		if !repeated {
			assert.Zero(s.t, s.counter(name, "histogram"), name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.Equal(s.t, []int{http.StatusOK}, slices.Collect(maps.Keys(s.answers)), "answers: %v", s.answers)
}

// query evaluates PromQL now.
func (s *store) query(expr string) *promql.Result {
	s.t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute})
	defer func() { assert.NoError(s.t, engine.Close()) }()
	q, err := engine.NewInstantQuery(context.Background(), s.db, nil, expr, time.Now().Add(time.Second))
	require.NoError(s.t, err)
	result := q.Exec(context.Background())
	require.NoError(s.t, result.Err, expr)
	return result
}

// scalar evaluates PromQL that has one number as its result.
func (s *store) scalar(expr string) float64 {
	s.t.Helper()
	vector, err := s.query(expr).Vector()
	require.NoError(s.t, err)
	require.Len(s.t, vector, 1, expr)
	return vector[0].F
}
