package integration

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The reader collects by the clock, and the application does not wait for it.
func TestPrometheusHasAllThatALiveApplicationCounted(t *testing.T) {
	const interval = 10 * time.Millisecond
	forEachSetup(t, "live", func(t *testing.T, s setup) {
		store := openStore(t)
		front := openFront(t, store)
		outages := quick(s.outages())
		p := openPipelineWithInterval(t, front, s, requestTimeout(outages), interval)
		stop := p.live()
		for _, i := range rand.Perm(len(outages)) {
			o := outages[i]
			o.begin(front)
			front.awaitFailures(1)
			o.end(front)
		}
		stop()
		store.assertNothingRefused(true)
		store.assertCurrent(p.shop.now())
	})
}

// live has the shop work until stop, which returns when all is delivered. What
// was collected in the millisecond of the last measurement may not have it.
func (p *pipeline) live() (stop func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ctx.Err() == nil; n++ {
			p.shop.work(n)
			awaitNextMillisecond()
		}
	}()
	return func() {
		cancel()
		<-ended
		require.NoError(p.t, p.provider.ForceFlush(p.t.Context()))
		awaitNextMillisecond()
		require.NoError(p.t, p.provider.Shutdown(p.t.Context()))
	}
}
