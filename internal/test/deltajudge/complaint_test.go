package deltajudge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// The judge can find fault: what the processor refuses it counts, with the
// reason, and what it should not take as it is the judge notes itself.
func TestTheJudgeFindsFault(t *testing.T) {
	for _, test := range []struct {
		name       string
		start, end int // of the point that follows one from 10 to 20 seconds
		refused    map[string]int64
		overlaps   int
		total      float64 // of what follows one of 1
	}{
		{"next", 20, 30, map[string]int64{}, 0, 3},
		{"after a gap", 25, 30, map[string]int64{}, 0, 3},
		{"again", 10, 20, map[string]int64{"delta.ErrOutOfOrder": 1}, 1, 1},
		{"older", 10, 15, map[string]int64{"delta.ErrOutOfOrder": 1}, 1, 1},
		{"before the first", 5, 10, map[string]int64{"delta.ErrOlderStart": 1}, 1, 1},
		{"overlapping", 15, 25, map[string]int64{}, 1, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := newJudge(t)
			require.NoError(t, j.hear(t.Context(), ordersFrom(10, 20, 1)))
			require.NoError(t, j.hear(t.Context(), ordersFrom(test.start, test.end, 2)))
			points, refused := j.heard(t)
			assert.Equal(t, int64(2), points)
			assert.Equal(t, test.refused, refused)
			assert.Len(t, j.overlaps, test.overlaps)
			assert.Equal(t, totals{key("shop", "orders", "1"): {"value": test.total}}, j.totals)
		})
	}
}

// ordersFrom returns a collection of one point, from start to end in seconds.
func ordersFrom(start, end int, value int64) *metricdata.ResourceMetrics {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	return &metricdata.ResourceMetrics{
		Resource: resource.NewSchemaless(attribute.String("service.name", "shop")),
		ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
			Name: "orders",
			Data: metricdata.Sum[int64]{Temporality: metricdata.DeltaTemporality, IsMonotonic: true, DataPoints: []metricdata.DataPoint[int64]{{
				Attributes: attribute.NewSet(attribute.String("customer", "1")),
				StartTime:  at(start), Time: at(end), Value: value,
			}}},
		}}}},
	}
}
