package backend

import (
	"io"
	"net/http"
	"sync"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/workload"
)

// Counter is a handler that adds up what arrives, which must have delta
// temporality.
type Counter struct {
	mu       sync.Mutex
	received workload.Totals
	points   int
}

// Received returns the sum of what has arrived.
func (c *Counter) Received() workload.Totals {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received
}

// Points returns how many data points have arrived.
func (c *Counter) Points() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.points
}

// ServeHTTP implements [http.Handler].
func (c *Counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := pmetricotlp.NewExportRequest()
	if err == nil {
		err = request.UnmarshalProto(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.add(TotalsOf(request.Metrics()), request.Metrics().DataPointCount())
	accept(w)
}

func (c *Counter) add(t workload.Totals, points int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received.Increments += t.Increments
	c.received.Recordings += t.Recordings
	c.points += points
}

// TotalsOf adds up the increments of integer sums and the counts of histograms.
func TotalsOf(md pmetric.Metrics) workload.Totals {
	var t workload.Totals
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				addMetric(&t, m)
			}
		}
	}
	return t
}

func addMetric(t *workload.Totals, m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			t.Increments += p.IntValue()
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			t.Recordings += int64(p.Count())
		}
	}
}
