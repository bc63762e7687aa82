package statusz

import (
	"time"

	"github.com/asyncmetric/asyncmetric"
)

// report is everything that is shown, in the form of the JSON. The page is made
// of it too, so both say the same.
type report struct {
	Time      time.Time  `json:"time"`
	Exporters []exporter `json:"exporters"`
}

type exporter struct {
	Name     string            `json:"name"`
	State    asyncmetric.State `json:"state"`
	Retry    *retry            `json:"retry"`
	Queue    fill              `json:"queue"`
	Totals   totals            `json:"totals"`
	Rates    *rates            `json:"rates"`
	History  []interval        `json:"history"`
	Errors   []failure         `json:"errors"`
	Settings []setting         `json:"settings"`
}

type retry struct {
	Time      time.Time `json:"time"`
	InSeconds float64   `json:"in_seconds"`
	Error     string    `json:"error"`
}

type fill struct {
	Waiting          int      `json:"waiting"`
	InFlight         int      `json:"in_flight"`
	Collections      int      `json:"collections"`
	Capacity         *int     `json:"capacity"`
	Bytes            *int64   `json:"bytes"`
	CapacityBytes    *int64   `json:"capacity_bytes"`
	Fill             *float64 `json:"fill"`
	OldestAgeSeconds *float64 `json:"oldest_age_seconds"`
}

type totals struct {
	Accepted  uint64 `json:"accepted"`
	Exported  uint64 `json:"exported"`
	Coalesced uint64 `json:"coalesced"`
	Dropped   uint64 `json:"dropped"`
	Refused   uint64 `json:"refused"`
	Retries   uint64 `json:"retries"`
	Exemplars uint64 `json:"exemplars"`
}

type rates struct {
	Current        perSecond `json:"current"`
	Mean           perSecond `json:"mean"`
	Max            perSecond `json:"max"`
	CurrentSeconds float64   `json:"current_seconds"`
	WindowSeconds  float64   `json:"window_seconds"`
}

type interval struct {
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"`
	perSecond
}

type perSecond struct {
	Accepted  float64 `json:"accepted"`
	Exported  float64 `json:"exported"`
	Coalesced float64 `json:"coalesced"`
	Dropped   float64 `json:"dropped"`
}

func (p perSecond) max(q perSecond) perSecond {
	return perSecond{
		Accepted:  max(p.Accepted, q.Accepted),
		Exported:  max(p.Exported, q.Exported),
		Coalesced: max(p.Coalesced, q.Coalesced),
		Dropped:   max(p.Dropped, q.Dropped),
	}
}

type failure struct {
	Time       time.Time `json:"time"`
	AgeSeconds float64   `json:"age_seconds"`
	Message    string    `json:"message"`
}

type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// newExporter describes an exporter that has this status now. It keeps nothing
// of the history.
func newExporter(now time.Time, s asyncmetric.Status, h *history) exporter {
	intervals := h.intervals()
	e := exporter{
		Name: s.Name, State: s.State, Queue: newFill(s),
		Totals: totals{
			Accepted: s.Stats.Accepted, Exported: s.Stats.Exported,
			Coalesced: s.Stats.Coalesced, Dropped: s.Stats.Dropped,
			Refused: s.Stats.Refused, Retries: s.Stats.Retries, Exemplars: s.Stats.Exemplars,
		},
		Rates: h.rates(intervals), History: intervals,
		Errors: []failure{}, Settings: []setting{},
	}
	if !s.RetryAt.IsZero() {
		e.Retry = &retry{s.RetryAt.UTC(), s.RetryAt.Sub(now).Seconds(), s.RetryError}
	}
	for _, r := range s.Errors {
		e.Errors = append(e.Errors, failure{r.Time.UTC(), max(0, now.Sub(r.Time).Seconds()), r.Message})
	}
	for _, o := range s.Settings {
		e.Settings = append(e.Settings, setting{o.Name, o.Value})
	}
	return e
}

func newFill(s asyncmetric.Status) fill {
	waiting := s.Stats.Queued - s.Stats.InFlight
	f := fill{Waiting: waiting, InFlight: s.Stats.InFlight, Collections: s.Stats.QueuedCollections}
	if s.Capacity > 0 {
		f.Capacity = &s.Capacity
		f.Fill = larger(f.Fill, float64(waiting)/float64(s.Capacity))
	}
	if s.CapacityBytes > 0 {
		f.CapacityBytes = &s.CapacityBytes
	}
	if s.CountsBytes {
		f.Bytes = &s.Stats.Bytes
		if s.CapacityBytes > 0 {
			f.Fill = larger(f.Fill, float64(s.Stats.Bytes)/float64(s.CapacityBytes))
		}
	}
	if s.Stats.QueuedCollections > 0 {
		age := s.Stats.OldestAge.Seconds()
		f.OldestAgeSeconds = &age
	}
	return f
}

// larger returns the larger one of two parts, of which the first may be missing.
func larger(a *float64, b float64) *float64 {
	if a != nil && *a >= b {
		return a
	}
	return &b
}
