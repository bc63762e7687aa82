package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
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

func newResult(p *pipeline, counted totals) result {
	received, _ := p.backend.delivered()
	times := p.stopwatch.read()
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

// json writes the report for programs.
func (r report) json(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// table writes the report for people: bare against wrapped.
func (r report) table(w io.Writer) error {
	var text strings.Builder
	row := func(title string, value func(result) string) {
		fmt.Fprintf(&text, "%-34s %14s %14s\n", title, value(r.Bare), value(r.Wrapped))
	}
	balanceRows := func(of func(result) balance) {
		row("  application counted", func(r result) string { return grouped(of(r).Counted) })
		row("  backend received", func(r result) string { return grouped(of(r).Received) })
		row("  lost", func(r result) string { return grouped(of(r).Lost) })
		row("  lost, percent", func(r result) string { return fmt.Sprintf("%.2f", of(r).LostPercent) })
		row("  duplicated", func(r result) string { return grouped(of(r).Duplicated) })
	}

	title := fmt.Sprintf("OTLP over %s, %.1f s", r.Protocol, r.Seconds)
	fmt.Fprintf(&text, "\n%-34s %14s %14s\n", title, "bare", "wrapped")
	fmt.Fprintln(&text, "counters, sum of the increments")
	balanceRows(func(r result) balance { return r.Counters })
	fmt.Fprintln(&text, "histograms, number of values")
	balanceRows(func(r result) balance { return r.Histograms })
	fmt.Fprintln(&text, "reader")
	row("  collections", func(r result) string { return grouped(r.Collections) })
	row("  failed exports", func(r result) string { return grouped(r.FailedExports) })
	row("  longest hold", func(r result) string { return short(r.LongestHold) })
	row("  median hold", func(r result) string { return short(r.MedianHold) })

	_, err := io.WriteString(w, text.String())
	return err
}
