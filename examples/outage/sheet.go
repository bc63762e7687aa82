package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// sheet is a table for people: sections of rows, with a column for each value.
type sheet struct{ text strings.Builder }

// section begins a section with its title.
func (s *sheet) section(title string) { fmt.Fprintln(&s.text, title) }

// row adds a row to the section.
func (s *sheet) row(title string, values ...string) {
	fmt.Fprintf(&s.text, "%-34s", "  "+title)
	for _, value := range values {
		fmt.Fprintf(&s.text, " %14s", value)
	}
	fmt.Fprintln(&s.text)
}

// balances adds the sections that compare counted with received, with a column
// for each result.
func (s *sheet) balances(results ...result) {
	s.section("counters, sum of the increments")
	s.balance(results, func(r result) balance { return r.Counters })
	s.section("histograms, number of values")
	s.balance(results, func(r result) balance { return r.Histograms })
}

func (s *sheet) balance(results []result, of func(result) balance) {
	row := func(title string, value func(balance) string) {
		var values []string
		for _, r := range results {
			values = append(values, value(of(r)))
		}
		s.row(title, values...)
	}
	row("application counted", func(b balance) string { return grouped(b.Counted) })
	row("backend received", func(b balance) string { return grouped(b.Received) })
	row("lost", func(b balance) string { return grouped(b.Lost) })
	row("lost, percent", func(b balance) string { return fmt.Sprintf("%.2f", b.LostPercent) })
	row("duplicated", func(b balance) string { return grouped(b.Duplicated) })
}

func (s *sheet) write(w io.Writer) error {
	_, err := io.WriteString(w, s.text.String())
	return err
}

// writeJSON writes a report for programs.
func writeJSON(w io.Writer, report any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
