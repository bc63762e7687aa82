package googlecloud

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/asyncmetric/asyncmetric"
)

const points = 450 // three requests

// collection returns cumulative sums of a value, as of a number of seconds after
// the start.
func collection(second int) *metricdata.ResourceMetrics {
	start := time.Unix(1_700_000_000, 0)
	var list []metricdata.DataPoint[int64]
	for i := range points {
		list = append(list, metricdata.DataPoint[int64]{
			Attributes: attribute.NewSet(attribute.Int("i", i)),
			StartTime:  start, Time: start.Add(time.Duration(second) * time.Second), Value: int64(second),
		})
	}
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
		Name: "n", Data: metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true, DataPoints: list},
	}}}}}
}

// start returns an exporter in front of the server, with the options that
// docs/options.md gives, but for a shorter interval.
func start(t *testing.T, s *server, more ...asyncmetric.Option) (*asyncmetric.Exporter, *[]asyncmetric.Drop) {
	var drops []asyncmetric.Drop
	e, err := asyncmetric.New(s.exporter(t), append([]asyncmetric.Option{
		asyncmetric.WithMaxExportBatchSize(200),
		asyncmetric.WithMinInterval(200 * time.Millisecond),
		asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Millisecond}),
		asyncmetric.WithOnDrop(func(d asyncmetric.Drop) { drops = append(drops, d) }),
		asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {})),
	}, more...)...)
	require.NoError(t, err)
	return e, &drops
}

func (s *server) requireLast(t *testing.T, second int) {
	require.Len(t, s.series, points)
	for key, last := range s.series {
		require.Equal(t, int64(second), last.value, key)
	}
}

// An outage leaves a backlog of several collections, each of several requests.
func TestNothingIsRefusedAfterAnOutage(t *testing.T) {
	s := &server{interval: 50 * time.Millisecond}
	e, drops := start(t, s)
	down := make(chan struct{})
	s.fail(func(request int) error {
		if request == 1 {
			close(down)
		}
		if request < 4 {
			return status.Error(codes.Unavailable, "try again")
		}
		return nil
	})
	require.NoError(t, e.Export(t.Context(), collection(1)))
	<-down
	for second := 2; second <= 3; second++ {
		require.NoError(t, e.Export(t.Context(), collection(second)))
	}
	require.NoError(t, e.Shutdown(t.Context()))
	assert.Empty(t, s.refused)
	assert.Empty(t, *drops)
	assert.Equal(t, uint64(3*points), e.Stats().Exported)
	s.requireLast(t, 3)
}

// With batches that become several requests, the exporter joins their errors. What
// was not delivered for the moment is delivered, whatever the others say.
func TestOneOfSeveralRequestsThatFailsForTheMomentIsRepeated(t *testing.T) {
	s := &server{}
	e, _ := start(t, s, asyncmetric.WithMaxExportBatchSize(0))
	s.fail(func(request int) error {
		switch request {
		case 1:
			return status.Error(codes.InvalidArgument, "a label of one series is too long")
		case 3:
			return status.Error(codes.Unavailable, "try again")
		}
		return nil
	})
	require.NoError(t, e.Export(t.Context(), collection(1)))
	require.Error(t, e.Shutdown(t.Context()), "the repetition has points that the server has already")
	assert.Equal(t, 6, s.requests())
	s.requireLast(t, 1)
}

// A batch that is one request loses no other batch's points when it is refused.
func TestARequestThatIsRefusedCostsItsPointsOnly(t *testing.T) {
	s := &server{}
	e, drops := start(t, s)
	s.fail(func(request int) error {
		if request == 2 {
			return status.Error(codes.InvalidArgument, "a label of one series is too long")
		}
		return nil
	})
	require.NoError(t, e.Export(t.Context(), collection(1)))
	require.Error(t, e.Shutdown(t.Context()))
	assert.Len(t, s.series, points-200)
	require.Len(t, *drops, 1)
	assert.Equal(t, 200, (*drops)[0].Points)
}
