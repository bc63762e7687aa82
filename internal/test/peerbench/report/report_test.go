package report

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/measure"
)

var update = flag.Bool("update", false, "write testdata/golden.md")

// crafted is a report with the tables that the page wants, of made-up figures.
func crafted() *Report {
	column := func(name string, u measure.Unit, compared bool) measure.Column {
		return measure.Column{Name: name, Unit: u, Compared: compared}
	}
	return &Report{
		Machine: Machine{
			CPU: "Some Processor", Platform: "linux/amd64", Go: "1.26.0", Cores: 2, Date: "2026-01-02", Load: "0.50",
			Modules: []string{"example.com/module v1.2.3"},
		},
		Plan: measure.Full(),
		Tables: []*measure.Table{
			{ID: "held", Base: "ours", Columns: []measure.Column{
				column("median", measure.Seconds, true), column("p99", measure.Seconds, true),
			}, Rows: []measure.Row{
				{Rival: "ours", Cells: []measure.Sample{{0.0001, 0.00009, 0.00012}, {0.0002}}},
				{Rival: "other", Cells: []measure.Sample{{0.0123, 0.0009, 1.5}, {0.25}}, Pooled: []float64{0.0125, 0.25}},
				{Rival: "(part of it)", Cells: []measure.Sample{{0.001}, {0.001}}},
			}},
			{ID: "throughput", Base: "ours", Columns: []measure.Column{
				column("points a second", measure.PerSecond, true), column("CPU a point", measure.Nanosecond, true),
				column("allocations", measure.Count, false),
			}, Rows: []measure.Row{
				{Rival: "ours", Cells: []measure.Sample{{3e6, 2e6, 4e6}, {250}, {0.01}}},
				{Rival: "other", Cells: []measure.Sample{{450e3}, {2345.6}, {13.5}}},
			}},
			{ID: "heap", Base: "ours", Columns: []measure.Column{column("heap a point", measure.Bytes, true)},
				Rows: []measure.Row{{Rival: "ours", Cells: []measure.Sample{{140}}}, {Rival: "other", Cells: []measure.Sample{{250}}}}},
			{ID: "outage", Columns: []measure.Column{
				column("2 minutes", measure.Percent, false), column("10 minutes", measure.Percent, false),
				column("longest hold", measure.Seconds, false),
			}, Rows: []measure.Row{
				{Rival: "ours", Cells: []measure.Sample{{100}, {100}, {0.001}}},
				{Rival: "other", Cells: []measure.Sample{{99.99, 100, 50}, {0.01}, {0.5}}},
			}},
			{ID: "order", Columns: []measure.Column{column("requests refused", measure.Count, false)},
				Rows: []measure.Row{{Rival: "ours", Cells: []measure.Sample{{0}}}}},
			{ID: "disk", Base: "ours", Columns: []measure.Column{column("file, a point", measure.Bytes, false)},
				Rows: []measure.Row{{Rival: "ours", Cells: []measure.Sample{{20}}}}},
		},
	}
}

func TestPageIsAsItWas(t *testing.T) {
	page, err := crafted().Markdown()
	require.NoError(t, err)
	golden := filepath.Join("testdata", "golden.md")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(page), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), page, "write it with -update if this is meant")
}

func TestPlotsAreOpaqueAndNameEachRival(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, crafted().Write(dir))
	for _, file := range []string{"held.svg", "outage.svg"} {
		svg, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		for _, text := range []string{">ours<", ">other<", "fill:#FFFFFF", "better"} {
			assert.Contains(t, string(svg), text, file)
		}
	}
	held, err := os.ReadFile(filepath.Join(dir, "held.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(held), "(part of it)")
	assert.FileExists(t, filepath.Join(dir, FileName))
}

func TestAPageWithoutATableIsAnError(t *testing.T) {
	r := crafted()
	r.Tables = r.Tables[1:]
	_, err := r.Markdown()
	assert.ErrorContains(t, err, `there is no table "held"`)
	assert.Error(t, r.Write(t.TempDir()))
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  measure.Unit
		want  string
	}{
		{0, measure.Count, "0"},
		{0.0123, measure.Count, "0.0123"},
		{13.4567, measure.Count, "13.5"},
		{10, measure.Count, "10"},
		{123456, measure.Count, "123456"},
		{0.00000042, measure.Seconds, "0.42 µs"},
		{0.0015, measure.Seconds, "1.5 ms"},
		{12.34, measure.Seconds, "12.3 s"},
		{999.9e3, measure.PerSecond, "1000 thousand/s"},
		{3.21e6, measure.PerSecond, "3.21 million/s"},
		{12, measure.PerSecond, "12/s"},
		{100, measure.Percent, "100 %"},
		{99.96, measure.Percent, "99.9 %"},
		{0.01, measure.Percent, "0.1 %"},
		{0, measure.Percent, "0 %"},
		{100.04, measure.Percent, "100 %"},
		{103.5, measure.Percent, "103.5 %"},
	} {
		assert.Equal(t, c.want, figure(c.value, c.unit))
	}
}

func TestRatios(t *testing.T) {
	assert.Equal(t, "1x", ratio(2, 2))
	assert.Equal(t, "0.33x", ratio(1, 3))
	assert.Equal(t, "12.5x", ratio(25, 2))
	assert.Equal(t, "250x", ratio(500, 2))
	assert.Empty(t, ratio(1, 0))
}

func TestAMachineIsBusyWithMoreThanHalfOfItsCores(t *testing.T) {
	for load, want := range map[string]bool{"0.00": false, "2.00": false, "2.01": true, "unknown": false} {
		assert.Equal(t, want, Machine{Cores: 4, Load: load}.Busy(), load)
	}
}
