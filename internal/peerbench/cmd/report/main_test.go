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

	"github.com/asyncmetric/asyncmetric/internal/peerbench/rival"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQuickRunWritesEverything(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(t.Context(), true, dir, io.Discard))
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
	assert.ErrorIs(t, run(ctx, true, "", io.Discard), context.Canceled)
}

func TestDocsAreThoseOfTheRepository(t *testing.T) {
	docs, err := findDocs()
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(filepath.Dir(docs), "README.md"))
	t.Chdir(t.TempDir())
	_, err = findDocs()
	assert.ErrorContains(t, err, "-out")
}
