package backend

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Prometheus is what the server of that name has behind its OTLP endpoint: the
// handler of the requests and the database, the real ones, with the settings
// that they have by default.
type Prometheus struct {
	db      *tsdb.DB
	handler http.Handler
	refused atomic.Int64
}

// OpenPrometheus opens a database in an empty folder.
func OpenPrometheus(dir string) (*Prometheus, error) {
	registry, logger := prometheus.NewRegistry(), promslog.NewNopLogger()
	db, err := tsdb.Open(dir, logger, registry, tsdb.DefaultOptions(), nil)
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	db.DisableCompactions()
	defaults := func() config.Config { return config.DefaultConfig }
	handler := remote.NewOTLPWriteHandler(logger, registry, db, defaults, remote.OTLPOptions{})
	return &Prometheus{db: db, handler: handler}, nil
}

// Close closes the database. No request must be under way.
func (p *Prometheus) Close() error { return p.db.Close() }

// Refused returns how many requests were answered with 400, which is what
// Prometheus does when a sample is older than the last one of its series.
func (p *Prometheus) Refused() int64 { return p.refused.Load() }

// ServeHTTP implements [http.Handler].
func (p *Prometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	p.handler.ServeHTTP(answer, r)
	if answer.Code == http.StatusBadRequest {
		p.refused.Add(1)
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// Samples returns how many samples are stored.
func (p *Prometheus) Samples(ctx context.Context) (int, error) {
	q, err := p.db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, fmt.Errorf("prometheus: %w", err)
	}
	defer func() { _ = q.Close() }()
	n := 0
	found := q.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, "app_.+"))
	for found.Next() {
		for samples := found.At().Iterator(nil); samples.Next() != chunkenc.ValNone; {
			n++
		}
	}
	return n, found.Err()
}
