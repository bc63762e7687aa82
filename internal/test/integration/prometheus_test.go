package integration

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/asyncmetric/asyncmetric"
)

// setups are the configurations that go through each outage.
var setups = []setup{
	{name: "one exporter"},
	{name: "splitting", options: splitting},
	{name: "4 exporters", replicas: 3, options: splitting},
	{name: "merging", options: merging, merges: true},
	{name: "coalescing", options: coalescing, coalesces: true},
	{name: "coalescing, 4 exporters", replicas: 3, options: slices.Concat(splitting, coalescing), coalesces: true},
}

// The options are such that a collection is 5 batches, or that the queue has
// room for 2 collections.
var (
	splitting  = []asyncmetric.Option{asyncmetric.WithMaxExportBatchSize((pointsPerCollection + 4) / 5)}
	merging    = []asyncmetric.Option{asyncmetric.WithMerging(0)}
	coalescing = []asyncmetric.Option{asyncmetric.WithMaxQueueSize(2*pointsPerCollection + 5)}
)

const collectionsInOutage = 10

func TestPrometheusHasAllThatWasCountedAfterIt(t *testing.T) {
	for _, o := range refusals {
		forEachSetup(t, o.name, func(t *testing.T, s setup) {
			store, p := sufferOutage(t, s, o)
			store.assertNothingRefused(false)
			store.assertStored(p.history, !s.coalesces)
			store.assertCurrent(p.shop.now())
		})
	}
}

// A batch that is sent again because the answer was lost changes nothing, if it
// has one point of each series.
func TestPrometheusHasAllThatWasCountedOnceAfterIt(t *testing.T) {
	for _, o := range lostAnswers {
		forEachSetup(t, o.name, func(t *testing.T, s setup) {
			if s.merges {
				t.Skip("a batch may have several points of a series")
			}
			store, p := sufferOutage(t, s, o)
			store.assertNothingRefused(true)
			store.assertStored(p.history, !s.coalesces)
			store.assertCurrent(p.shop.now())
		})
	}
}

func forEachSetup(t *testing.T, name string, test func(*testing.T, setup)) {
	for _, s := range setups {
		t.Run(name+"/"+s.name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// sufferOutage takes a pipeline through an outage of Prometheus, to the end.
func sufferOutage(t *testing.T, s setup, o outage, options ...storeOption) (*store, *pipeline) {
	store := openStore(t, options...)
	front := openFront(t, store)
	p := openPipeline(t, front, s, o.requestTimeout)
	p.suffer(front, o, collectionsInOutage)
	p.shutdown()
	p.assertDelivered(s)
	return store, p
}

// outages returns those that go well with a setup. Where a batch has several
// points of a series, Prometheus refuses a repetition of what it has.
func (s setup) outages() []outage {
	if s.merges {
		return slices.Clone(refusals)
	}
	return slices.Concat(refusals, lostAnswers)
}

func TestPrometheusHasAllThatWasCountedAfterARandomMixOfOutages(t *testing.T) {
	forEachSetup(t, "cumulative", func(t *testing.T, s setup) {
		store, p := sufferMix(t, s, s.outages())
		store.assertNothingRefused(true)
		store.assertStored(p.history, !s.coalesces)
		store.assertCurrent(p.shop.now())
	})
}

// sufferMix takes a pipeline through outages that follow each other at random,
// and does not wait for the deliveries in between.
func sufferMix(t *testing.T, s setup, outages []outage, options ...storeOption) (*store, *pipeline) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	store := openStore(t, options...)
	front := openFront(t, store)
	p := openPipeline(t, front, s, requestTimeout(outages))
	p.wander(front, outages, rand.New(rand.NewPCG(seed, 0)))
	p.shutdown()
	p.assertDelivered(s)
	return store, p
}

// wander goes through each of the outages, in any order, some collections
// apart.
func (p *pipeline) wander(f *front, outages []outage, random *rand.Rand) {
	for _, i := range random.Perm(len(outages)) {
		p.endure(f, outages[i], 1+random.IntN(collectionsInOutage))
		for range random.IntN(4) {
			p.collect()
		}
	}
}

// assertDelivered demands that asyncmetric says it has delivered everything,
// and that the setup had the effect that it is there for.
func (p *pipeline) assertDelivered(s setup) {
	p.t.Helper()
	stats := p.exporter.Stats()
	assert.Empty(p.t, p.reports.drops)
	assert.Equal(p.t, uint64(len(p.history)*pointsPerCollection), stats.Accepted)
	assert.Equal(p.t, stats.Accepted, stats.Exported+stats.Coalesced)
	assert.NotZero(p.t, stats.Retries)
	assert.Equal(p.t, s.coalesces, stats.Coalesced > 0)
}
