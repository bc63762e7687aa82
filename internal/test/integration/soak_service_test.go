package integration

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// A service is an application: shops that share the instruments of one provider,
// and a reader for each of its lines. It can be restarted.
type service struct {
	t       *testing.T
	lines   []*line
	random  *rand.Rand
	counted counts // before it was last opened

	provider *sdkmetric.MeterProvider
	shops    []*shop
	work     sync.WaitGroup
	stop     context.CancelFunc // the work
}

// collectEvery returns the interval of the readers. In a long soak it is one at
// which the race detector keeps up with all lines.
func collectEvery() time.Duration {
	return min(max(*soakTime/100, 40*time.Millisecond), 100*time.Millisecond)
}

func (s *service) open() {
	exporters := make([]sdkmetric.Exporter, len(s.lines))
	for i, l := range s.lines {
		var err error
		exporters[i], err = l.open()
		require.NoError(s.t, err, l.name)
	}
	options := []sdkmetric.Option{sdkmetric.WithResource(identity), sdkmetric.WithView(durationView())}
	for _, e := range exporters { // a reader collects from the start
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(e, sdkmetric.WithInterval(collectEvery()))))
	}
	s.provider = sdkmetric.NewMeterProvider(options...)
	var ctx context.Context
	ctx, s.stop = context.WithCancel(s.t.Context())
	s.shops = nil
	for range 2 {
		shop, random := openShop(s.t, s.provider), rand.New(rand.NewPCG(s.random.Uint64(), 0))
		s.shops = append(s.shops, shop)
		s.work.Go(func() {
			for ; ctx.Err() == nil; pause(ctx, collectEvery()/2) {
				shop.work(random.IntN(1000))
			}
		})
	}
}

// close returns when all that was counted has been collected. A collection that
// the shutdown of a reader cuts short has nothing new then.
func (s *service) close() {
	s.stop()
	s.work.Wait()
	require.NoError(s.t, s.provider.ForceFlush(s.t.Context()))
	require.NoError(s.t, s.provider.Shutdown(s.t.Context()))
	for _, shop := range s.shops {
		shop.forgetGauges()
		for key, value := range shop.counted {
			s.counted[key] += value
		}
	}
}

// durable reports whether a service can be restarted, and nothing is missing.
func (s *service) durable() bool {
	for _, l := range s.lines {
		if !l.durable {
			return false
		}
	}
	return true
}

// restart gives each line some time for what it has queued, and leaves the rest to
// the service that follows. It reports whether there is no rest.
func (s *service) restart(most time.Duration) (all bool) {
	s.close()
	all = true
	for _, l := range s.lines {
		all = l.close(most) && all
	}
	s.open()
	return all
}

// deliver demands that what arrives in the end, after close, is what was counted.
func (s *service) deliver() {
	for _, l := range s.lines {
		assert.True(s.t, l.flush(ample), l.name)
		l.assertSteady()
		assert.True(s.t, l.close(ample), l.name)
		l.receiver.ledger.assertReceived(s.t, l.name, s.counted)
	}
}

// forgetGauges leaves what adds up.
func (s *shop) forgetGauges() {
	for _, country := range countries {
		delete(s.counted, series("shop_temperature_celsius", "country", country))
	}
}
