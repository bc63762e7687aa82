package report

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/measure"
)

//go:embed benchmarks.md.tmpl
var page string

// FileName is that of the page.
const FileName = "benchmarks.md"

// A Report is all that was measured.
type Report struct {
	Machine Machine
	Plan    measure.Plan
	Tables  []*measure.Table
}

// Markdown returns the page.
func (r *Report) Markdown() (string, error) {
	functions := template.FuncMap{
		"table": r.table, "pooled": r.pooled, "minutes": r.minutes, "lastCollection": r.lastCollection,
	}
	t, err := template.New(FileName).Funcs(functions).Parse(page)
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, r); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return b.String(), nil
}

// Write writes the page and its plots into a folder.
func (r *Report) Write(dir string) error {
	text, err := r.Markdown()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := r.drawPlots(dir); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// find returns the table with an identifier.
func (r *Report) find(id string) (*measure.Table, error) {
	for _, t := range r.Tables {
		if t.ID == id {
			return t, nil
		}
	}
	return nil, fmt.Errorf("report: there is no table %q", id)
}

func (r *Report) table(id string) (string, error) {
	t, err := r.find(id)
	if err != nil {
		return "", err
	}
	return table(t), nil
}

// pooled returns how many collections of each rival hold the reader in all
// repetitions together.
func (r *Report) pooled() int { return r.Plan.Repetitions * r.Plan.HeldCollections }

// minutes returns by how much the time of the outages is shortened.
func (r *Report) minutes() string { return digits(60 / r.Plan.Minute.Seconds()) }

// lastCollection returns how many seconds after the outage in the measurement of
// order the last collection was made.
func (r *Report) lastCollection() string {
	return digits(float64(r.Plan.Ordered-r.Plan.Ordered/4) * measure.OrderPause.Seconds())
}
