package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/measure"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/report"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQuickRunWritesEverything(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(t.Context(), options{quick: true, out: dir}, io.Discard))
	page, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	require.NoError(t, err)
	for _, r := range rival.All() {
		assert.Contains(t, string(page), "| "+r.Name)
	}
	for _, plot := range []string{"held.svg", "outage.svg"} {
		assert.Contains(t, string(page), plot)
		assert.FileExists(t, filepath.Join(dir, plot))
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, run(ctx, options{quick: true}, io.Discard), context.Canceled)
}

func TestABusyMachineIsNotMeasured(t *testing.T) {
	busy, idle := report.Machine{Cores: 2, Load: "1.01"}, report.Machine{Cores: 2, Load: "1.00"}
	_, err := options{}.plan(busy)
	assert.ErrorContains(t, err, "-force")
	assert.ErrorContains(t, err, "1.01")
	for _, c := range []struct {
		options options
		machine report.Machine
		want    measure.Plan
	}{
		{options{}, idle, measure.Full()},
		{options{force: true}, busy, measure.Full()},
		{options{quick: true}, busy, measure.Quick()},
	} {
		plan, err := c.options.plan(c.machine)
		require.NoError(t, err)
		assert.Equal(t, c.want, plan)
	}
}

func TestDocsAreThoseOfTheRepository(t *testing.T) {
	docs, err := findDocs()
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(filepath.Dir(docs), "README.md"))
	t.Chdir(t.TempDir())
	_, err = findDocs()
	assert.ErrorContains(t, err, "-out")
}
