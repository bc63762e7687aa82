package spool

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/otlp"
	"github.com/asyncmetric/asyncmetric/queue"
)

// unfit returns metrics that OTLP cannot express, of a data point each.
func unfit() []metricdata.Metrics {
	gauge := func(p metricdata.DataPoint[int64]) metricdata.Metrics {
		return metricdata.Metrics{Name: "unfit", Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{p}}}
	}
	return []metricdata.Metrics{
		gauge(metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.String("\xff", "v"))}),
		gauge(metricdata.DataPoint[int64]{Time: time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)}),
	}
}

func TestAMetricThatOTLPCannotExpressCostsThatMetric(t *testing.T) {
	q, o := open(t, t.TempDir())
	rm := metrictest.Numbers(3, 7)
	rm.ScopeMetrics[0].Metrics = append(unfit(), rm.ScopeMetrics[0].Metrics...)
	rm.ScopeMetrics = append(rm.ScopeMetrics, metricdata.ScopeMetrics{
		Scope: instrumentation.Scope{Name: "\xff"}, Metrics: metrictest.Numbers(2, 1).ScopeMetrics[0].Metrics,
	})
	before := len(rm.ScopeMetrics[0].Metrics)
	require.NoError(t, q.Put(t.Context(), rm))
	requireConserved(t, q)
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonPermanent: 4}, o.dropped())
	var err *otlp.AppendError
	require.ErrorAs(t, o.drops[0].Err, &err)
	assert.Equal(t, "unfit", err.Metric)
	assert.Equal(t, uint64(1), o.drops[0].Position)
	assert.Len(t, rm.ScopeMetrics[0].Metrics, before, "the argument is as it was")
	assert.Equal(t, uint64(7), q.Stats().Accepted)
	require.Equal(t, []int64{7}, drain(t, q))
}

func TestACollectionOfWhichOTLPCanExpressNothingIsRefused(t *testing.T) {
	q, o := open(t, t.TempDir())
	rm := metrictest.Numbers(1, 1)
	rm.ScopeMetrics[0].Metrics = unfit()
	require.ErrorIs(t, q.Put(t.Context(), rm), otlp.ErrUTF8)
	assert.Zero(t, q.Stats())
	assert.Empty(t, o.drops)
}

func TestUnfitMetricsDoNotCountWhereTheRestIsRefused(t *testing.T) {
	q, o := open(t, t.TempDir(), WithMaxBytes(1), WithOverflow(queue.DropNewest))
	putValues(t, q, 1, 1)
	rm := metrictest.Numbers(3, 7)
	rm.ScopeMetrics[0].Metrics = append(unfit(), rm.ScopeMetrics[0].Metrics...)
	before := q.Stats()
	require.ErrorIs(t, q.Put(t.Context(), rm), queue.ErrFull)
	assert.Equal(t, before, q.Stats())
	assert.Empty(t, o.drops)
}
