package main

import (
	"fmt"
	"io"
	"time"
)

// summary is the result of a long outage.
type summary struct {
	Protocol      string        `json:"protocol"`
	Seconds       float64       `json:"seconds"`     // that the run took
	Outage        time.Duration `json:"outage_ns"`   // simulated
	Interval      time.Duration `json:"interval_ns"` // simulated, between two collections
	BoundPoints   int           `json:"bound_points"`
	WaitingPoints int           `json:"waiting_points"` // the most after any collection
	Checkpoints   []checkpoint  `json:"checkpoints"`    // the last one is at the end of the outage
	Wrapped       result        `json:"wrapped"`
	Delivered     delivered     `json:"delivered"`
}

// delivered says how the measurements got to the backend.
type delivered struct {
	Requests        int           `json:"requests"` // accepted ones
	MedianSpan      time.Duration `json:"median_span_ns"`
	LongestSpan     time.Duration `json:"longest_span_ns"`
	Retries         uint64        `json:"retries"`
	CoalescedPoints uint64        `json:"coalesced_points"`
	DroppedPoints   uint64        `json:"dropped_points"`
	Drain           time.Duration `json:"drain_ns"` // from the recovery to the end
}

// summarize compares and counts when the pipeline has been drained.
func (e *endurance) summarize(checkpoints []checkpoint, took, drain time.Duration) summary {
	stats, spans := e.exporter.Stats(), spansOf(e.backend.counted())
	return summary{
		Protocol:      e.protocol,
		Seconds:       took.Seconds(),
		Outage:        time.Duration(e.steps) * step,
		Interval:      step,
		BoundPoints:   maxQueuePoints,
		WaitingPoints: e.mostWaiting,
		Checkpoints:   checkpoints,
		Wrapped:       newResult(e.backend, e.stopwatch, e.counted),
		Delivered: delivered{
			Requests:        len(spans),
			MedianSpan:      median(spans),
			LongestSpan:     longest(spans),
			Retries:         stats.Retries,
			CoalescedPoints: stats.Coalesced,
			DroppedPoints:   stats.Dropped,
			Drain:           drain,
		},
	}
}

// spansOf returns how much simulated time each request stands for. Every step
// records as many values, so what arrived tells. A collection, joined or not,
// is smaller than the largest batch: it is one request.
func spansOf(requests []totals) []time.Duration {
	var spans []time.Duration
	for _, r := range requests {
		spans = append(spans, time.Duration(r.recordings/(perOrder*ordersPerStep))*step)
	}
	return spans
}

func (s summary) verify() error { return s.Wrapped.verify() }

func (s summary) json(w io.Writer) error { return writeJSON(w, s) }

// table shows that nothing is missing, and what the outage took instead.
func (s summary) table(w io.Writer) error {
	var t sheet
	t.section(fmt.Sprintf("\n%s of outage, OTLP over %s, %.1f s", clock(s.Outage), s.Protocol, s.Seconds))
	t.balances(s.Wrapped)
	t.section("queue")
	t.row("points that may wait", grouped(s.BoundPoints))
	t.row("points that waited, at most", grouped(s.WaitingPoints))
	t.row("points coalesced", grouped(int64(s.Delivered.CoalescedPoints)))
	t.row("points dropped", grouped(int64(s.Delivered.DroppedPoints)))
	t.section("delivery")
	t.row("requests", grouped(s.Delivered.Requests))
	t.row("median span of a request", clock(s.Delivered.MedianSpan))
	t.row("longest span of a request", clock(s.Delivered.LongestSpan))
	t.row("repeated attempts", grouped(int64(s.Delivered.Retries)))
	t.row("all delivered after recovery in", short(s.Delivered.Drain))
	t.section("reader")
	t.row("collections", grouped(s.Wrapped.Collections))
	t.row("failed exports", grouped(s.Wrapped.FailedExports))
	t.row("longest hold", short(s.Wrapped.LongestHold))
	t.row("median hold", short(s.Wrapped.MedianHold))
	return t.write(w)
}
