package integration

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
)

// A ledger has what a receiver received of each series of a shop, each point
// once: delivery is at least once. A point that comes again is known by its
// times, as no two of a series share these. It has to have the same value.
type ledger struct {
	mu       sync.Mutex
	accounts map[seriesID]*account
	points   int64
	repeated int64
	wrong    []string // the first things that are
}

type seriesID struct{ metric, country string }

// remembered is how many points of a series are known again. A repetition goes
// back as far as the batch that is on its way.
const remembered = 512

// An account is one series.
type account struct {
	keys   []string  // that counts have for its numbers
	totals []float64 // without last
	last   reading
	recent [remembered]fingerprint
	next   int // in recent
}

// A fingerprint is what is remembered of a point.
type fingerprint struct {
	start, at uint64
	sum       float64 // of its numbers
}

func newLedger() *ledger { return &ledger{accounts: make(map[seriesID]*account)} }

func (l *ledger) take(req *collectorpb.ExportMetricsServiceRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, resource := range req.GetResourceMetrics() {
		for _, scope := range resource.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				for _, r := range readingsOf(metric) {
					l.enter(seriesID{metric.GetName(), r.country}, r)
				}
			}
		}
	}
}

func (l *ledger) enter(id seriesID, r reading) {
	a := l.accounts[id]
	if a == nil {
		a = &account{keys: keysOf(id), totals: make([]float64, len(r.numbers))}
		l.accounts[id] = a
	}
	l.points++
	if f, ok := a.recall(r); ok {
		l.repeated++
		l.demand(f == r.fingerprint(), id, "came again as another", f, r)
		return
	}
	l.demand(a.last.precedes(r), id, "is older than the one before, or overlaps with it", a.last, r)
	a.append(r)
}

func (l *ledger) demand(ok bool, id seriesID, what string, before, r any) {
	if !ok && len(l.wrong) < 10 {
		l.wrong = append(l.wrong, fmt.Sprintf("%v: a point %s: %v, then %v", id, what, before, r))
	}
}

// recall returns what is known of a point with these times.
func (a *account) recall(r reading) (f fingerprint, ok bool) {
	if r.at > a.last.at {
		return fingerprint{}, false
	}
	for _, f := range a.recent {
		if f.start == r.start && f.at == r.at {
			return f, true
		}
	}
	return fingerprint{}, false
}

// append adds the next point. Points with one start are each the sum so far if
// they are cumulative, and have but one of those if they are not.
func (a *account) append(r reading) {
	if a.last.start != r.start {
		a.close()
	}
	a.last = r
	a.recent[a.next] = r.fingerprint()
	a.next = (a.next + 1) % remembered
}

// close adds the last point to the totals.
func (a *account) close() {
	for i, n := range a.last.numbers {
		a.totals[i] += n
	}
	a.last.numbers = nil
}

// assertReceived demands that the points, all of which have been received, add
// up to what was counted, and that they came in order.
func (l *ledger) assertReceived(t *testing.T, name string, counted counts) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.Empty(t, l.wrong, name)
	received := make(counts)
	for _, a := range l.accounts {
		a.close()
		for i, key := range a.keys {
			received[key] = a.totals[i]
		}
	}
	assert.Equal(t, counted, received, name)
}
