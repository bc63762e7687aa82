package integration

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/queue"
)

// The series target_info is the one that all batches of a resource have in
// common, at the times of their points, and those differ within a collection,
// as the SDK takes the time anew for each instrument. So batches of one
// collection have an order of their own for Prometheus: one that comes after a
// later one is refused as a whole. It takes them in any order if it has an
// out-of-order window, or if the resource has only those attributes that become
// job and instance.

// The batches of one exporter come in that order.
func TestPrometheusHasAllOfOneExporterAlsoWithTargetInfo(t *testing.T) {
	forEachSetup(t, "described", func(t *testing.T, s setup) {
		if s.replicas > 0 {
			t.Skip("see below")
		}
		s.resource = described
		store, p := sufferMix(t, s, quick(refusals))
		store.assertNothingRefused(false)
		store.assertStored(p.history, !s.coalesces)
		assert.NotZero(t, store.scalar(`sum(count_over_time(target_info[1h]))`))
	})
}

func TestPrometheusRefusesABatchThatAReplicaOvertook(t *testing.T) {
	store, reports := overtake(t, described)
	require.Len(t, reports.drops, 1)
	assert.Equal(t, queue.ReasonPermanent, reports.drops[0].Reason)
	assert.ErrorContains(t, reports.drops[0].Err, "out of order sample")
	assert.Equal(t, 1, store.samples(), "the other batch")
}

func TestPrometheusTakesABatchThatAReplicaOvertook(t *testing.T) {
	t.Run("with an out-of-order window", func(t *testing.T) {
		store, reports := overtake(t, described, outOfOrder)
		assert.Empty(t, reports.drops)
		assert.Equal(t, 2, store.samples())
	})
	t.Run("without target_info", func(t *testing.T) {
		store, reports := overtake(t, identity)
		assert.Empty(t, reports.drops)
		assert.Equal(t, 2, store.samples())
		store.assertNothingRefused(false)
	})
}

// overtake sends a collection as two batches through two exporters, of which the
// second one is stored first.
func overtake(t *testing.T, r *resource.Resource, options ...storeOption) (*store, *record) {
	store := openStore(t, options...)
	front := openFront(t, store)
	front.misbehave(overtaken("first"))
	e, reports := openExporter(t, front,
		asyncmetric.WithReplicas(front.exporter(setup{})), asyncmetric.WithMaxExportBatchSize(1))
	require.NoError(t, e.Export(t.Context(), collectionOf(r, counterAt("first", 1, 0), counterAt("second", 1, 1))))
	_ = e.Shutdown(t.Context())
	return store, reports
}

// overtaken returns a fault that makes requests with a text in them wait until
// another one has been stored.
func overtaken(text string) fault {
	stored := make(chan struct{})
	return func(f *front, w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(f.t, err)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !bytes.Contains(body, []byte(text)) {
			defer close(stored)
		} else {
			<-stored
		}
		f.store.ServeHTTP(w, r)
	}
}

// The SDK collects its scopes in any order. What is joined on overflow has the
// order and the times of the newer collection, so that target_info, which
// Prometheus writes with the times of each request, stays in order, too.
func TestPrometheusTakesWhatWasCoalescedInAnotherOrder(t *testing.T) {
	store, reports := coalesceInAnotherOrder(t)
	assert.Empty(t, reports.drops)
	assert.Equal(t, 3, store.samples())
}

// coalesceInAnotherOrder has two collections wait behind one that fails, joined
// because the queue is full. One exporter sends the result in two batches.
func coalesceInAnotherOrder(t *testing.T, options ...storeOption) (*store, *record) {
	store := openStore(t, options...)
	front := openFront(t, store)
	front.misbehave(unavailable)
	e, reports := openExporter(t, front, asyncmetric.WithMaxQueueSize(2), asyncmetric.WithMaxExportBatchSize(1))
	for _, metrics := range [][]metricdata.Metrics{
		{counterAt("zeroth", 1, 0)},
		{counterAt("first", 1, 10), counterAt("second", 1, 11)},
		{counterAt("second", 2, 20), counterAt("first", 2, 21)},
	} {
		require.NoError(t, e.Export(t.Context(), collectionOf(described, metrics...)))
		front.awaitFailures(1) // of the zeroth
	}
	front.misbehave(nil)
	_ = e.Shutdown(context.Background())
	assert.Equal(t, uint64(2), e.Stats().Coalesced)
	return store, reports
}

func openExporter(t *testing.T, f *front, options ...asyncmetric.Option) (*asyncmetric.Exporter, *record) {
	reports := &record{}
	e, err := asyncmetric.New(f.exporter(setup{}), append(reports.options(), options...)...)
	require.NoError(t, err)
	return e, reports
}
