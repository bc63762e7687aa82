package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric"
)

// TestALongOutageCostsResolutionOnly runs the whole program for eight times
// as many collections as the queue has room for.
func TestALongOutageCostsResolutionOnly(t *testing.T) {
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			args := []string{"-long", "-protocol", protocol, "-scale", "0.25", "-json"}
			require.Zero(t, run(t.Context(), args, &stdout, &stderr), stderr.String())

			var got summary
			require.NoError(t, json.Unmarshal(stdout.Bytes(), &got), "stdout holds nothing but JSON")
			assert.Equal(t, protocol, got.Protocol)
			assert.Equal(t, 6*time.Hour, got.Outage)
			assertNothingLost(t, got)
			assertBounded(t, got)
			assertCoarser(t, got)
			assert.Contains(t, stderr.String(), "resolution")
		})
	}
}

func assertNothingLost(t *testing.T, got summary) {
	t.Helper()
	assert.EqualValues(t, 360*ordersPerStep*perOrder, got.Wrapped.Histograms.Counted)
	assert.Positive(t, got.Wrapped.Counters.Counted)
	for _, b := range []balance{got.Wrapped.Counters, got.Wrapped.Histograms} {
		assert.Equal(t, b.Counted, b.Received)
		assert.Zero(t, b.Lost)
		assert.Zero(t, b.Duplicated)
	}
	assert.Zero(t, got.Delivered.DroppedPoints)
	assert.Zero(t, got.Wrapped.FailedExports)
	assert.Equal(t, 360, got.Wrapped.Collections)
}

func assertBounded(t *testing.T, got summary) {
	t.Helper()
	assert.LessOrEqual(t, got.WaitingPoints, got.BoundPoints)
	assert.LessOrEqual(t, got.Delivered.Requests, room+1, "what waited, and what was being tried")
	for _, c := range got.Checkpoints {
		assert.LessOrEqual(t, c.WaitingPoints, got.BoundPoints)
		assert.LessOrEqual(t, c.Waiting, room)
	}
}

// assertCoarser checks the resolution from both ends: what waits is as coarse
// as it must be, and nothing that arrives is much coarser than that.
func assertCoarser(t *testing.T, got summary) {
	t.Helper()
	assert.Positive(t, got.Delivered.CoalescedPoints)
	require.Len(t, got.Checkpoints, 4, "after 45m, 1h30m, 3h and 6h")
	for i, c := range got.Checkpoints[1:] {
		assert.Greater(t, c.Resolution, got.Checkpoints[i].Resolution)
	}
	last := got.Checkpoints[3]
	assert.Equal(t, got.Outage, last.Outage)
	assert.GreaterOrEqual(t, last.Resolution, 7.9)
	assert.LessOrEqual(t, got.Delivered.LongestSpan, 3*time.Duration(last.Resolution*float64(step)))
}

func TestALongOutageForPeople(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-long", "-scale", "0.0625"}, &stdout, &stderr), stderr.String())
	for _, want := range []string{"1h30m of outage, OTLP over http", "points coalesced"} {
		assert.Contains(t, stdout.String(), want)
	}
	assert.Regexp(t, `(?m)^1h30m .*1 collection = [23](\.\d)? intervals`, stdout.String())
}

func TestAnInterruptEndsALongOutage(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	assert.Equal(t, 1, run(ctx, []string{"-long"}, io.Discard, &stderr))
	assert.Contains(t, stderr.String(), context.Canceled.Error())
}

func TestACheckpointLeavesOutWhatIsInFlight(t *testing.T) {
	stats := asyncmetric.Stats{Queued: 480 + 3*480, InFlight: 480, QueuedCollections: 4}
	got := newCheckpoint(13, stats, 5)
	assert.Equal(t, checkpoint{
		Outage: 13 * step, Collections: 13, Waiting: 3, WaitingPoints: 3 * 480, HeapBytes: 5, Resolution: 4,
	}, got)
	assert.Equal(t, "1 collection = 4 intervals = 4m", got.span())
	assert.Equal(t, "1 collection = 1 interval = 1m", checkpoint{Resolution: 1}.span())
	assert.Equal(t, "1 collection = 2.6 intervals = 2m36s", checkpoint{Resolution: 2.6}.span())
}

func TestALossInALongOutageIsAnError(t *testing.T) {
	s := summary{Wrapped: result{Counters: newBalance(10, 9), Histograms: newBalance(10, 10)}}
	assert.ErrorContains(t, s.verify(), "lost 1")
	var text strings.Builder
	require.NoError(t, s.table(&text))
	assert.Contains(t, text.String(), "10.00")
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", 450 * time.Second: "7m30s", 30 * time.Minute: "30m",
		90 * time.Minute: "1h30m", 20 * time.Hour: "20h", time.Hour + 10*time.Second: "1h0m10s",
	} {
		assert.Equal(t, want, clock(d))
	}
}
