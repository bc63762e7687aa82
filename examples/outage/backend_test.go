package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
)

func TestABackendAnswersAsItBehaves(t *testing.T) {
	tests := map[string]struct {
		behaviour behaviour
		want      error
	}{
		"healthy":     {healthy, nil},
		"slow":        {slow, nil},
		"unavailable": {unavailable, errUnavailable},
		"refusing":    {refusing, errDown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := openBackend(t, time.Nanosecond)
			require.NoError(t, b.behave(tt.behaviour))
			assert.ErrorIs(t, b.admit(t.Context()), tt.want)
		})
	}
}

func TestASlowRequestIsCutShort(t *testing.T) {
	const forever = time.Hour

	t.Run("when the backend goes down", func(t *testing.T) {
		b := openBackend(t, forever)
		require.NoError(t, b.behave(slow))
		answer := make(chan error)
		go func() { answer <- b.admit(t.Context()) }()
		require.NoError(t, b.behave(refusing))
		assert.ErrorIs(t, <-answer, errDown)
	})
	t.Run("when the client gives up", func(t *testing.T) {
		b := openBackend(t, forever)
		require.NoError(t, b.behave(slow))
		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan error)
		go func() { answer <- b.admit(ctx) }()
		cancel()
		assert.ErrorIs(t, <-answer, context.Canceled)
	})
}

func TestABackendComesBackOnItsPort(t *testing.T) {
	b := openBackend(t, 0)
	before := b.address
	require.NoError(t, b.behave(refusing))
	require.NoError(t, b.behave(healthy))
	assert.Equal(t, before, b.address)
}

func TestOnlyWhatIsAnsweredCounts(t *testing.T) {
	sent := func() error { return nil }
	broken := errors.New("connection reset")
	gone, cancel := context.WithCancel(t.Context())
	cancel()

	b := openBackend(t, 0)
	require.NoError(t, b.accept(t.Context(), sampleRequest(), sent))
	require.ErrorIs(t, b.accept(t.Context(), sampleRequest(), func() error { return broken }), broken)
	require.ErrorIs(t, b.accept(gone, sampleRequest(), sent), context.Canceled)

	received, points := b.delivered()
	assert.Equal(t, totals{increments: 7, recordings: 5}, received)
	assert.Equal(t, 3, points)
	assert.Equal(t, []totals{received}, b.counted())
}

// openBackend returns a healthy backend over HTTP, closed with the test.
func openBackend(t *testing.T, slowness time.Duration) *backend {
	b := newBackend(protocols["http"], slowness)
	require.NoError(t, b.behave(healthy))
	t.Cleanup(func() { require.NoError(t, b.close()) })
	return b
}

// sampleRequest has three data points: increments of 3 and 4, five values.
func sampleRequest() *collectorpb.ExportMetricsServiceRequest {
	number := func(n int64) *metricspb.NumberDataPoint {
		return &metricspb.NumberDataPoint{Value: &metricspb.NumberDataPoint_AsInt{AsInt: n}}
	}
	sum := &metricspb.Sum{DataPoints: []*metricspb.NumberDataPoint{number(3), number(4)}}
	histogram := &metricspb.Histogram{DataPoints: []*metricspb.HistogramDataPoint{{Count: 5}}}
	return &collectorpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{
		ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{
			{Data: &metricspb.Metric_Sum{Sum: sum}},
			{Data: &metricspb.Metric_Histogram{Histogram: histogram}},
		}}},
	}}}
}
