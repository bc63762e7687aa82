package statusz

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/asyncmetric/asyncmetric"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a source that says what the test tells it to.
type fake struct {
	mu     sync.Mutex
	status asyncmetric.Status
}

func (f *fake) Status() asyncmetric.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// count adds to the counters, and keeps them consistent.
func (f *fake) count(accepted, exported, coalesced, dropped uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.status.Stats
	s.Accepted += accepted
	s.Exported += exported
	s.Coalesced += coalesced
	s.Dropped += dropped
	s.Queued += int(accepted) - int(exported+coalesced+dropped)
}

// show returns a handler for sources.
func show(sources ...*fake) handler {
	h := handler{}
	for _, f := range sources {
		h = append(h, &watch{source: f})
	}
	return h
}

// get returns the answer of h to a GET of target.
func get(h http.Handler, target string) *httptest.ResponseRecorder {
	return do(h, http.MethodGet, target)
}

func do(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

// busy is an exporter in the middle of an outage, at the given time.
func busy(now time.Time) asyncmetric.Status {
	return asyncmetric.Status{
		Name:       "github.com/asyncmetric/asyncmetric.Exporter/7",
		State:      asyncmetric.StateBackingOff,
		RetryAt:    now.Add(4 * time.Second),
		RetryError: "503 Service Unavailable",
		Stats: asyncmetric.Stats{
			Accepted: 12_345, Exported: 1_345, Coalesced: 2_000, Dropped: 1_000,
			Queued: 8_000, InFlight: 480, QueuedCollections: 17, OldestAge: 65 * time.Second, Refused: 5, Retries: 3,
		},
		Capacity: 10_000,
		Errors: []asyncmetric.ReportedError{
			{Time: now.Add(-90 * time.Second), Message: "connection refused"},
		},
		Settings: []asyncmetric.Setting{{Name: "WithOverflow", Value: "Coalesce"}},
	}
}
