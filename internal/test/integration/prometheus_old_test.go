package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Prometheus takes samples up to an hour (half the range of a block) older than
// the newest that it has of any series. What an outage of more than that leaves
// behind is refused, though each series is in order, and a queue cannot help:
// it takes an out-of-order window as long as the outage.
func TestPrometheusRefusesWhatIsAnHourOlderThanTheNewestSample(t *testing.T) {
	_, send := openSender(t)
	require.NoError(t, send(collectionOf(identity, counterAt("other", 1, 0))))
	require.NoError(t, send(collectionOf(identity, counterBefore("recent", 59*time.Minute))))
	require.ErrorContains(t, send(collectionOf(identity, counterBefore("old", 61*time.Minute))), "400 Bad Request (body: out of bounds")
}

func TestPrometheusTakesWhatIsOldWithAnOutOfOrderWindow(t *testing.T) {
	_, send := openSender(t, func(s *store) { s.options.OutOfOrderTimeWindow = (3 * time.Hour).Milliseconds() })
	require.NoError(t, send(collectionOf(identity, counterAt("other", 1, 0))))
	require.NoError(t, send(collectionOf(identity, counterBefore("old", 2*time.Hour))))
}

// counterBefore is counterAt for a time before dawn.
func counterBefore(name string, before time.Duration) metricdata.Metrics {
	m := counterAt(name, 1, -int(before.Milliseconds()))
	point := &m.Data.(metricdata.Sum[int64]).DataPoints[0]
	point.StartTime = point.Time.Add(-time.Second)
	return m
}

// By default, deltas are refused.
func TestPrometheusRefusesDeltas(t *testing.T) {
	_, send := openSender(t)
	m := counterAt("one", 1, 0)
	sum := m.Data.(metricdata.Sum[int64])
	sum.Temporality = metricdata.DeltaTemporality
	m.Data = sum
	require.ErrorContains(t, send(collectionOf(identity, m)), "invalid temporality and type combination")
}
