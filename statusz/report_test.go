package statusz

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric"
)

// decode reads a JSON answer, which must have no field that is not known.
func decode(t *testing.T, answer *httptest.ResponseRecorder) report {
	t.Helper()
	var rep report
	d := json.NewDecoder(answer.Body)
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&rep))
	return rep
}

// TestFieldNamesAreStable compares with the JSON itself: programs depend on it.
func TestFieldNamesAreStable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{status: busy(time.Now().Add(2 * time.Second))}
		h := show(f)
		h.report()
		time.Sleep(2 * time.Second)
		f.count(10, 0, 8, 6)
		assert.JSONEq(t, `{
			"time": "2000-01-01T00:00:02Z",
			"exporters": [{
				"name": "github.com/asyncmetric/asyncmetric.Exporter/7",
				"state": "backing off",
				"retry": {"time": "2000-01-01T00:00:06Z", "in_seconds": 4, "error": "503 Service Unavailable"},
				"queue": {
					"waiting": 7516, "in_flight": 480, "collections": 17,
					"capacity": 10000, "bytes": null, "capacity_bytes": null, "fill": 0.7516, "oldest_age_seconds": 65
				},
				"totals": {"accepted": 12355, "exported": 1345, "coalesced": 2008, "dropped": 1006, "refused": 5, "retries": 3, "exemplars": 0},
				"rates": {
					"current": {"accepted": 5, "exported": 0, "coalesced": 4, "dropped": 3},
					"mean": {"accepted": 5, "exported": 0, "coalesced": 4, "dropped": 3},
					"max": {"accepted": 5, "exported": 0, "coalesced": 4, "dropped": 3},
					"current_seconds": 2, "window_seconds": 2
				},
				"history": [{
					"time": "2000-01-01T00:00:02Z", "seconds": 2,
					"accepted": 5, "exported": 0, "coalesced": 4, "dropped": 3
				}],
				"errors": [{"time": "1999-12-31T23:58:32Z", "age_seconds": 90, "message": "connection refused"}],
				"settings": [{"name": "WithOverflow", "value": "Coalesce"}]
			}]
		}`, get(h, "/?format=json").Body.String())
	})
}

func TestWhatIsNotThereIsNullOrEmpty(t *testing.T) {
	f := &fake{status: asyncmetric.Status{Name: "x", State: asyncmetric.StateIdle}}
	body := get(show(f), "/?format=json").Body.String()
	for _, want := range []string{
		`"retry":null`, `"rates":null`, `"capacity":null`, `"bytes":null`, `"capacity_bytes":null`, `"fill":null`, `"oldest_age_seconds":null`,
		`"history":[]`, `"errors":[]`, `"settings":[]`,
	} {
		assert.Contains(t, body, want)
	}
}

func TestFillIsTheLargerShareOfTheTwoBounds(t *testing.T) {
	part := func(p float64) *float64 { return &p }
	for name, c := range map[string]struct {
		waiting, capacity    int
		bytes, capacityBytes int64
		counts               bool
		want                 *float64
	}{
		"more of the points":           {75, 100, 500, 1000, true, part(0.75)},
		"more of the bytes":            {25, 100, 500, 1000, true, part(0.5)},
		"no bound in points":           {25, 0, 500, 1000, true, part(0.5)},
		"no bound in bytes":            {25, 100, 500, 0, true, part(0.25)},
		"bytes that are not known":     {25, 100, 0, 1000, false, part(0.25)},
		"nothing but unknown bytes":    {25, 0, 0, 1000, false, nil},
		"nothing that has a bound":     {25, 0, 500, 0, true, nil},
		"an empty queue with a bound":  {0, 0, 0, 1000, true, part(0)},
		"one collection beyond bounds": {1, 1, 3000, 1000, true, part(3)},
	} {
		s := asyncmetric.Status{
			Capacity: c.capacity, CapacityBytes: c.capacityBytes, CountsBytes: c.counts,
			Stats: asyncmetric.Stats{Queued: c.waiting, Bytes: c.bytes},
		}
		got := newFill(s)
		assert.Equal(t, c.want, got.Fill, name)
		assert.Equal(t, c.counts, got.Bytes != nil, name)
		assert.Equal(t, c.capacityBytes > 0, got.CapacityBytes != nil, name)
	}
}

func TestTimesAreInUTC(t *testing.T) {
	zone := time.FixedZone("east", 5*3600)
	got := newExporter(time.Now().In(zone), busy(time.Now().In(zone)), &history{samples: []sample{
		{at: time.Now().In(zone)}, {at: time.Now().In(zone).Add(time.Second)},
	}})
	for _, at := range []time.Time{got.Retry.Time, got.Errors[0].Time, got.History[0].Time} {
		assert.Equal(t, time.UTC, at.Location())
	}
	assert.Equal(t, time.UTC, handler{}.report().Time.Location())
}

func TestNoErrorIsFromTheFuture(t *testing.T) {
	now := time.Now()
	s := asyncmetric.Status{Errors: []asyncmetric.ReportedError{{Time: now.Add(time.Millisecond)}}}
	assert.Zero(t, newExporter(now, s, &history{}).Errors[0].AgeSeconds, "it came while the status was taken")
}
