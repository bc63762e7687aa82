package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheTotalsAreEqual(t *testing.T) {
	var out, errs strings.Builder
	require.Zero(t, run(t.Context(), []string{"-act", "500ms"}, &out, &errs), "%s%s", &out, &errs)
	assert.Contains(t, out.String(), "which led the stream, was killed\n")
	assert.Contains(t, out.String(), "relay 1 was killed\n")
	assert.Contains(t, out.String(), "lost                        0\n")
	assert.Empty(t, errs.String())
}

func TestWrongArgumentsAreNamed(t *testing.T) {
	for _, args := range [][]string{{"-act", "0s"}, {"now"}, {"-unknown"}} {
		var out, errs strings.Builder
		assert.Equal(t, 2, run(t.Context(), args, &out, &errs), "%v", args)
		assert.NotEmpty(t, errs.String())
		assert.Empty(t, out.String())
	}
}

func TestDifferencesAreFailures(t *testing.T) {
	var out strings.Builder
	assert.NoError(t, compare(&out, 0, newBackend()))
	assert.Error(t, compare(&out, 1, newBackend()))
}
