package main

import (
	"fmt"
	"io"
	"time"
)

// report is the result of a run.
type report struct {
	Protocol string  `json:"protocol"`
	Seconds  float64 `json:"seconds"`
	Bare     result  `json:"bare"`
	Wrapped  result  `json:"wrapped"`
}

// result is how one pipeline did.
type result struct {
	Counters      balance       `json:"counters"`   // sum of the increments
	Histograms    balance       `json:"histograms"` // number of recorded values
	Collections   int           `json:"collections"`
	FailedExports int           `json:"failed_exports"`
	LongestHold   time.Duration `json:"longest_hold_ns"`
	MedianHold    time.Duration `json:"median_hold_ns"`
}

// balance compares what the application counted with what the backend got.
type balance struct {
	Counted     int64   `json:"counted"`
	Received    int64   `json:"received"`
	Lost        int64   `json:"lost"`
	LostPercent float64 `json:"lost_percent"`
	Duplicated  int64   `json:"duplicated"`
}

func newResult(b *backend, watch *stopwatch, counted totals) result {
	received, _ := b.delivered()
	times := watch.read()
	return result{
		Counters:      newBalance(counted.increments, received.increments),
		Histograms:    newBalance(counted.recordings, received.recordings),
		Collections:   len(times.held),
		FailedExports: times.failed,
		LongestHold:   longest(times.held),
		MedianHold:    median(times.held),
	}
}

func newBalance(counted, received int64) balance {
	b := balance{
		Counted:    counted,
		Received:   received,
		Lost:       max(0, counted-received),
		Duplicated: max(0, received-counted),
	}
	if counted > 0 {
		b.LostPercent = 100 * float64(b.Lost) / float64(counted)
	}
	return b
}

// verify returns an error unless each measurement arrived exactly once.
func (r result) verify() error {
	for _, b := range []balance{r.Counters, r.Histograms} {
		if b.Lost > 0 || b.Duplicated > 0 {
			return fmt.Errorf("the wrapped pipeline lost %d and duplicated %d of %d", b.Lost, b.Duplicated, b.Counted)
		}
	}
	return nil
}

// verify returns an error unless the wrapped pipeline delivered everything once.
func (r report) verify() error { return r.Wrapped.verify() }

// json writes the report for programs.
func (r report) json(w io.Writer) error { return writeJSON(w, r) }

// table writes the report for people: bare against wrapped.
func (r report) table(w io.Writer) error {
	var s sheet
	row := func(title string, value func(result) string) { s.row(title, value(r.Bare), value(r.Wrapped)) }

	title := fmt.Sprintf("OTLP over %s, %.1f s", r.Protocol, r.Seconds)
	s.section(fmt.Sprintf("\n%-34s %14s %14s", title, "bare", "wrapped"))
	s.balances(r.Bare, r.Wrapped)
	s.section("reader")
	row("collections", func(r result) string { return grouped(r.Collections) })
	row("failed exports", func(r result) string { return grouped(r.FailedExports) })
	row("longest hold", func(r result) string { return short(r.LongestHold) })
	row("median hold", func(r result) string { return short(r.MedianHold) })
	return s.write(w)
}
