package asyncmetric_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestTheDeadLetterGetsWhatIsRefusedForGoodAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
			calls++
			switch series(rm) {
			case 0:
				return errPermanent
			case 2:
				if calls < 5 {
					return errTransient
				}
			case 4:
				return PartialSuccess{RejectedItems: 1}
			case 6:
				return &asyncmetric.RejectedError{Points: 2, Err: errors.New("never")}
			}
			return nil
		}}
		dead := &metrictest.Exporter{}
		e, r := start(t, inner, asyncmetric.WithName("x"), asyncmetric.WithMaxExportBatchSize(2), asyncmetric.WithDeadLetter(dead))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(10, 1)))
		assert.ErrorIs(t, e.ForceFlush(t.Context()), errPermanent)
		assert.Equal(t, 1, dead.Count("ForceFlush"))
		var got []int64
		for _, rm := range dead.Delivered() {
			assert.Equal(t, 2, len(rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints))
			got = append(got, series(rm))
		}
		assert.Equal(t, []int64{0, 6}, got, "each once")
		why := dead.Delivered()[0].Resource.Attributes()
		for key, want := range map[string]attribute.Value{
			"service.name":              attribute.StringValue("metrictest"),
			"asyncmetric.drop.reason":   attribute.StringValue("permanent"),
			"asyncmetric.drop.error":    attribute.StringValue(errPermanent.Error()),
			"asyncmetric.drop.attempts": attribute.IntValue(1),
			"asyncmetric.drop.exporter": attribute.StringValue("x"),
		} {
			assert.Contains(t, why, attribute.KeyValue{Key: attribute.Key(key), Value: want})
		}
		assert.Equal(t, 5, r.dropped()[asyncmetric.ReasonPermanent])
		shutdown(t, e, inner)
		assert.Equal(t, 1, dead.Count("Shutdown"))
		assert.Zero(t, dead.Overlaps())
	})
}

func TestADeadLetterThatHangsHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
			if metrictest.Value(rm)%2 == 0 {
				return errPermanent
			}
			return nil
		}}
		dead := &metrictest.Exporter{OnExport: g.stuck}
		e, _ := start(t, inner, asyncmetric.WithDeadLetter(dead))
		begin := time.Now()
		for v := range int64(100) {
			export(t, e, v)
		}
		elapse(0)
		assert.Equal(t, uint64(50), e.Stats().Exported)
		assert.Equal(t, uint64(50), e.Stats().Dropped)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, e.ForceFlush(ctx), context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(begin), time.Second)
		assert.Error(t, giveUpOf(e, time.Second))
		assert.LessOrEqual(t, time.Since(begin), 2*time.Second+50*time.Millisecond)
		close(g.open)
	})
}

// A crash between the end of a collection in the queue and its way to the dead
// letter would cost it.
func TestADurableQueueKeepsWhatTheDeadLetterDoesNotHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error { return errPermanent }}
		g := newGate()
		dead := &metrictest.Exporter{OnExport: g.stuck}
		e, _ := start(t, inner, asyncmetric.WithQueue(keeping(t)), asyncmetric.WithDeadLetter(dead),
			asyncmetric.WithExportTimeout(10*time.Second))
		export(t, e, 1, 2, 3)
		elapse(9 * time.Second)
		assert.Equal(t, 3, e.Stats().Queued, "the dead letter does not have it")
		elapse(2 * time.Second)
		assert.Zero(t, e.Stats().Queued, "one wait is enough: no more as long as it hangs")
		close(g.open)
		elapse(time.Minute)
		export(t, e, 4)
		elapse(0)
		assert.Equal(t, uint64(4), e.Stats().Dropped)
		assert.Len(t, dead.Delivered(), 4)
		shutdown(t, e, inner)
	})
}

func TestADeadLetterIsAnotherExporter(t *testing.T) {
	inner, replica := &metrictest.Exporter{}, &metrictest.Exporter{}
	other, err := asyncmetric.New(&metrictest.Exporter{})
	require.NoError(t, err)
	defer func() { _ = other.Shutdown(t.Context()) }()
	for name, dead := range map[string]metric.Exporter{
		"nil": nil, "a nil pointer": (*metrictest.Exporter)(nil), "the exporter itself": inner, "a replica": replica, "a wrapped one": other,
	} {
		_, err := asyncmetric.New(inner, asyncmetric.WithReplicas(replica), asyncmetric.WithDeadLetter(dead))
		assert.ErrorIs(t, err, asyncmetric.ErrInvalidOption, name)
		assert.ErrorContains(t, err, "WithDeadLetter", name)
	}
}
