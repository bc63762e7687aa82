package asyncmetric_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestExportDeliversInOrder(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner)
	export(t, e, 1, 2, 3)
	require.NoError(t, e.ForceFlush(t.Context()))
	assert.Equal(t, []int64{1, 2, 3}, metrictest.Values(inner.Delivered()))
	shutdown(t, e, inner)
}

func TestExportDoesNotWaitForTheInnerExporter(t *testing.T) {
	g := newGate()
	inner := &metrictest.Exporter{OnExport: g.stuck}
	e, _ := start(t, inner)
	export(t, e, 1)
	<-g.arrived // the inner exporter is busy now, and stays so
	export(t, e, 2, 3, 4)
	s := e.Stats()
	assert.Equal(t, 4, s.Queued)
	assert.Equal(t, 1, s.InFlight)
	close(g.open)
	shutdown(t, e, inner)
	assert.Equal(t, []int64{1, 2, 3, 4}, metrictest.Values(inner.Delivered()))
}

func TestExportCopies(t *testing.T) {
	g := newGate()
	inner := &metrictest.Exporter{OnExport: g.stuck}
	e, _ := start(t, inner)
	export(t, e, 1)
	<-g.arrived

	rm := metrictest.EveryKind(3)
	require.NoError(t, e.Export(t.Context(), rm))
	for i := range rm.ScopeMetrics { // as a reader may that reuses its memory
		clear(rm.ScopeMetrics[i].Metrics)
	}
	rm.ScopeMetrics = rm.ScopeMetrics[:0]
	require.NoError(t, e.Export(t.Context(), rm), "an empty collection is accepted")

	close(g.open)
	shutdown(t, e, inner)
	delivered := inner.Delivered()
	require.Len(t, delivered, 2)
	metricdatatest.AssertEqual(t, *metrictest.EveryKind(3), *delivered[1])
}

func TestEmptyCollectionIsNotDelivered(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner)
	require.NoError(t, e.Export(t.Context(), &metricdata.ResourceMetrics{}))
	require.NoError(t, e.ForceFlush(t.Context()))
	assert.Zero(t, inner.Count("Export"))
	assert.Zero(t, e.Stats().Accepted)
	shutdown(t, e, inner)
}

func TestExportOfNilIsAnError(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner)
	assert.ErrorContains(t, e.Export(t.Context(), nil), "nil")
	shutdown(t, e, inner)
	assert.Zero(t, inner.Count("Export"))
}

func TestExportWithEndedContextIsAcceptedWhereItNeedNotWait(t *testing.T) {
	for _, overflow := range []queue.Overflow{queue.Coalesce, queue.DropOldest, queue.DropNewest, queue.Block} {
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithOverflow(overflow))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.NoError(t, e.Export(ctx, metrictest.Numbers(1, 1)), overflow)
		shutdown(t, e, inner)
		assert.Equal(t, []int64{1}, metrictest.Values(inner.Delivered()), overflow)
	}
}

func TestExportOutlivesItsContext(t *testing.T) {
	g := newGate()
	inner := &metrictest.Exporter{OnExport: g.export}
	e, _ := start(t, inner)
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, e.Export(ctx, metrictest.Numbers(1, 1)))
	<-g.arrived
	cancel() // as PeriodicReader does when Export has returned
	close(g.open)
	shutdown(t, e, inner)
	assert.Len(t, inner.Delivered(), 1)
}

func TestExportAfterShutdown(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner)
	shutdown(t, e, inner)
	assert.Equal(t, metric.ErrExporterShutdown, e.Export(t.Context(), metrictest.Numbers(1, 1)))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, metric.ErrExporterShutdown, e.Export(ended, metrictest.Numbers(1, 1)))
	assert.Equal(t, metric.ErrExporterShutdown, e.Export(t.Context(), &metricdata.ResourceMetrics{}))
	assert.Zero(t, e.Stats().Accepted)
}

// What Export accepted while Shutdown began is delivered: nothing falls
// between the two.
func TestShutdownRacingExportLosesNothing(t *testing.T) {
	for range 50 {
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner)
		var accepted [8]int
		var wg sync.WaitGroup
		for i := range accepted {
			wg.Go(func() {
				for e.Export(context.Background(), metrictest.Numbers(1, 1)) == nil {
					accepted[i]++
				}
			})
		}
		shutdown(t, e, inner)
		wg.Wait()
		sum := 0
		for _, n := range accepted {
			sum += n
		}
		assert.Len(t, inner.Delivered(), sum)
		assert.Equal(t, uint64(sum), e.Stats().Exported)
	}
}

func TestOverflow(t *testing.T) {
	fill := func(t *testing.T, o queue.Overflow) (*asyncmetric.Exporter, *metrictest.Exporter, *record, *gate) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, r := start(t, inner, asyncmetric.WithMaxQueueSize(2), asyncmetric.WithOverflow(o))
		export(t, e, 1)
		<-g.arrived // in flight, so it does not wait any more
		export(t, e, 2, 3)
		return e, inner, r, g
	}
	t.Run("DropOldest drops what waits longest, and only that", func(t *testing.T) {
		e, inner, r, g := fill(t, queue.DropOldest)
		export(t, e, 4, 5)
		assert.Equal(t, map[asyncmetric.DropReason]int{asyncmetric.ReasonOverflow: 2}, r.dropped())
		close(g.open)
		shutdown(t, e, inner)
		assert.Equal(t, []int64{1, 4, 5}, metrictest.Values(inner.Delivered()))
		require.Len(t, r.errors(), 2, "the first is reported at once, the rest in one at Shutdown")
		assert.ErrorIs(t, r.errors()[0], queue.ErrFull)
		assert.ErrorContains(t, r.errors()[0], "1 data point dropped (overflow)")
		assert.ErrorContains(t, r.errors()[1], "1 data point dropped (overflow)")
	})
	t.Run("DropNewest refuses and counts as refused", func(t *testing.T) {
		e, inner, r, g := fill(t, queue.DropNewest)
		assert.ErrorIs(t, e.Export(t.Context(), metrictest.Numbers(1, 4)), queue.ErrFull)
		assert.Empty(t, r.dropped(), "the caller knows")
		assert.Zero(t, e.Stats().Dropped)
		assert.Equal(t, uint64(3), e.Stats().Accepted)
		assert.Equal(t, uint64(1), e.Stats().Refused)
		close(g.open)
		shutdown(t, e, inner)
		assert.Equal(t, []int64{1, 2, 3}, metrictest.Values(inner.Delivered()))
	})
	t.Run("Block waits for room", func(t *testing.T) {
		e, inner, _, g := fill(t, queue.Block)
		result := make(chan error, 1)
		go func() { result <- e.Export(context.Background(), metrictest.Numbers(1, 4)) }()
		g.open <- struct{}{} // delivers 1 and takes 2, which makes room
		assert.NoError(t, <-result)
		close(g.open)
		shutdown(t, e, inner)
		assert.Equal(t, []int64{1, 2, 3, 4}, metrictest.Values(inner.Delivered()))
	})
}

func TestBlockedExportHonoursItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		inner := &metrictest.Exporter{OnExport: g.stuck}
		e, r := start(t, inner, asyncmetric.WithMaxQueueSize(1), asyncmetric.WithOverflow(queue.Block))
		export(t, e, 1)
		<-g.arrived
		export(t, e, 2)

		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		assert.ErrorIs(t, e.Export(ctx, metrictest.Numbers(1, 3)), context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(begin))
		assert.Empty(t, r.dropped(), "the caller knows")
		assert.Equal(t, uint64(1), e.Stats().Refused)

		result := make(chan error, 1)
		go func() { result <- e.Export(context.Background(), metrictest.Numbers(1, 4)) }()
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(g.open) }) // when Shutdown waits
		shutdown(t, e, inner)
		assert.Equal(t, metric.ErrExporterShutdown, <-result, "Shutdown refuses what still waits")
		assert.Equal(t, []int64{1, 2}, metrictest.Values(inner.Delivered()))
	})
}

func TestOversizeCollectionIsDelivered(t *testing.T) {
	for _, o := range []queue.Overflow{queue.DropOldest, queue.DropNewest, queue.Block} {
		inner := &metrictest.Exporter{}
		e, _ := start(t, inner, asyncmetric.WithMaxQueueSize(2), asyncmetric.WithOverflow(o))
		require.NoError(t, e.Export(t.Context(), metrictest.Numbers(500, 7)))
		shutdown(t, e, inner)
		assert.Equal(t, uint64(500), e.Stats().Exported, o)
	}
}

func TestSelectorsAreForwarded(t *testing.T) {
	inner := &metrictest.Exporter{
		OnTemporality: func(k metric.InstrumentKind) metricdata.Temporality {
			if k == metric.InstrumentKindCounter {
				return metricdata.DeltaTemporality
			}
			return metricdata.CumulativeTemporality
		},
		OnAggregation: func(k metric.InstrumentKind) metric.Aggregation {
			if k == metric.InstrumentKindHistogram {
				return metric.AggregationBase2ExponentialHistogram{MaxSize: 7}
			}
			return metric.AggregationDrop{}
		},
	}
	e, _ := start(t, inner)
	defer shutdown(t, e, inner)
	for k := metric.InstrumentKindCounter; k <= metric.InstrumentKindGauge; k++ {
		assert.Equal(t, inner.Temporality(k), e.Temporality(k), k)
		assert.Equal(t, inner.Aggregation(k), e.Aggregation(k), k)
	}
}

// The SDK calls the selectors while instruments are made: a busy inner exporter
// must not hold that up.
func TestSelectorsDoNotWaitForTheInnerExporter(t *testing.T) {
	g := newGate()
	inner := &metrictest.Exporter{OnExport: g.stuck}
	e, _ := start(t, inner)
	export(t, e, 1)
	<-g.arrived
	assert.Equal(t, metricdata.CumulativeTemporality, e.Temporality(metric.InstrumentKindCounter))
	assert.Equal(t, metric.AggregationSum{}, e.Aggregation(metric.InstrumentKindCounter))
	close(g.open)
	shutdown(t, e, inner)
}

func TestMarshalLogNamesTheInnerExporter(t *testing.T) {
	inner := &metrictest.Exporter{}
	e, _ := start(t, inner, asyncmetric.WithMaxQueueSize(77), asyncmetric.WithMaxQueueBytes(1<<30))
	defer shutdown(t, e, inner)
	text := fmt.Sprintf("%+v", e.MarshalLog())
	assert.Contains(t, text, "Type:asyncmetric")
	assert.Contains(t, text, "MaxQueueSize:77")
	assert.Contains(t, text, "MaxQueueBytes:1073741824")
	assert.Contains(t, text, "Exporter:0x", "the inner exporter itself is in it")
}

func TestEveryErrorNamesTheExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &metrictest.Exporter{
			OnExport:     func(context.Context, *metricdata.ResourceMetrics) error { return errTransient },
			OnForceFlush: func(context.Context) error { return errPermanent },
			OnShutdown:   func(context.Context) error { return errPermanent },
		}
		e, r := start(t, inner, asyncmetric.WithName("payments"), asyncmetric.WithMaxQueueSize(1), asyncmetric.WithOverflow(queue.DropNewest))
		assert.Equal(t, "payments", e.Status().Name)
		errs := []error{e.ForceFlush(t.Context())}
		export(t, e, 1)
		synctest.Wait()
		export(t, e, 2)
		errs = append(errs, e.Export(t.Context(), metrictest.Numbers(1, 3)))
		errs = append(errs, giveUpOf(e, time.Minute))
		for _, err := range append(errs, r.errors()...) {
			require.Error(t, err)
			for line := range strings.Lines(err.Error()) {
				assert.Contains(t, line, "exporter payments")
			}
		}
	})
}
