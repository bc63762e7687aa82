package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// The processes that count are this test binary, too.
func TestMain(m *testing.M) {
	if job := jobFromEnvironment(); job != nil {
		os.Exit(work(context.Background(), job, os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

func TestWhatKilledProcessesStoredArrives(t *testing.T) {
	var out, errs strings.Builder
	require.Zero(t, run(t.Context(), []string{"-kills", "2", "-collections", "3"}, &out, &errs), "%s%s", &out, &errs)
	assert.Contains(t, out.String(), "process 2 was killed\n")
	assert.Contains(t, out.String(), "lost               0\nduplicated         0\n")
	assert.Empty(t, errs.String())
}

func TestWrongArgumentsAreNamed(t *testing.T) {
	for _, args := range [][]string{{"-kills", "0"}, {"-collections", "0"}, {"now"}, {"-unknown"}} {
		var out, errs strings.Builder
		assert.Equal(t, 2, run(t.Context(), args, &out, &errs), "%v", args)
		assert.NotEmpty(t, errs.String())
		assert.Empty(t, out.String())
	}
}

func TestDifferencesAreFailures(t *testing.T) {
	var out strings.Builder
	assert.NoError(t, compare(&out, 5, 5))
	assert.Error(t, compare(&out, 5, 4))
	assert.Error(t, compare(&out, 5, 6))
}
