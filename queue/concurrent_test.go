package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// totalOf adds up the values of a collection of delta sums.
func totalOf(rm *metricdata.ResourceMetrics) (total int64) {
	_, total = exemplarsOf(rm)
	return total
}

// A crowd puts into a full queue that joins, while others take, settle and return.
type crowd struct {
	*Memory
	in, out atomic.Int64 // the totals of what went in, and of what was exported
	gone    atomic.Int64 // points that the observer heard of
	refused atomic.Int64 // calls of Put that returned an error
}

func newCrowd(t *testing.T, bound Bound) *crowd {
	t.Helper()
	m, err := NewMemory(bound, Coalesce)
	require.NoError(t, err)
	c := &crowd{Memory: m}
	require.NoError(t, m.Start(Observer{
		Dropped: func(d Drop) { c.gone.Add(int64(d.Points)) },
		Failed:  func(error) {},
	}))
	return c
}

// put puts in collections of one resource. It changes each as soon as Put has
// returned. Now and then its context ends early.
func (c *crowd) put(t *testing.T, rng *rand.Rand, collections int, made func(i int) *metricdata.ResourceMetrics) {
	for i := range collections {
		rm := made(i)
		total := totalOf(rm)
		ctx, cancel := context.WithCancel(t.Context())
		if rng.IntN(4) == 0 {
			go cancel()
		}
		if err := c.Put(ctx, rm); err == nil {
			c.in.Add(total)
		} else {
			assert.ErrorIs(t, err, context.Canceled)
			c.refused.Add(1)
		}
		cancel()
		for _, metric := range rm.ScopeMetrics[0].Metrics {
			clear(metric.Data.(metricdata.Sum[int64]).DataPoints)
		}
		s := c.Stats()
		assert.Equal(t, s.Accepted, s.Exported+s.Dropped+s.Coalesced+uint64(s.Queued))
	}
}

// take takes up to three entries at a time, settles some and returns others, until
// nothing is left and no more comes.
func (c *crowd) take(t *testing.T, rng *rand.Rand, last <-chan struct{}) {
	var inFlight []Entry
	for {
		select {
		case <-last:
			if len(inFlight) == 0 && c.Stats().Queued == 0 {
				return
			}
		default:
		}
		if e, err := c.Take(t.Context(), Limit{}); err == nil {
			inFlight = append(inFlight, e)
		}
		for len(inFlight) > 0 && (rng.IntN(2) == 0 || len(inFlight) > 2) {
			i := rng.IntN(len(inFlight))
			e := inFlight[i]
			inFlight = append(inFlight[:i:i], inFlight[i+1:]...)
			if rng.IntN(3) == 0 {
				assert.NoError(t, e.Return())
				continue
			}
			c.out.Add(totalOf(e.Collection()))
			assert.NoError(t, e.Settle(Outcome{Exported: e.Points()}))
		}
	}
}

// What a crowd brings arrives, or is accounted for.
func TestACrowdAtAFullQueueLosesNothingUnseen(t *testing.T) {
	large := batch.Bytes(metrictest.Numbers(100, 1))
	for name, bound := range map[string]Bound{
		"in points": {Points: 400}, "in bytes": {Bytes: int64(4 * large)}, "in both": {Points: 300, Bytes: int64(4 * large)},
	} {
		t.Run(name, func(t *testing.T) {
			const putters, collections = 4, 100
			c := newCrowd(t, bound)
			var putting, taking sync.WaitGroup
			last := make(chan struct{})
			for p := range putters {
				rng := rand.New(rand.NewPCG(uint64(p), 1))
				putting.Go(func() {
					c.put(t, rng, collections, func(i int) *metricdata.ResourceMetrics {
						rm := withExemplars(1 + rng.IntN(100))
						if p%2 == 0 { // as a reader does that hands a collection over in pieces
							named(rm, fmt.Sprint("piece", i%3))
						}
						return withResource(rm, fmt.Sprint("resource", p/2))
					})
				})
			}
			taking.Go(func() { c.take(t, rand.New(rand.NewPCG(1, 2)), last) })
			putting.Wait()
			close(last)
			taking.Wait()
			require.NoError(t, c.Close())
			s := c.Stats()
			assert.Zero(t, s.Queued)
			assert.Equal(t, int64(s.Dropped), c.gone.Load())
			assert.Equal(t, s.Accepted, s.Exported+s.Dropped+s.Coalesced)
			lost := c.in.Load() - c.out.Load()
			t.Logf("%+v, %d calls of Put ended early, a total of %d of %d lost", s, c.refused.Load(), lost, c.in.Load())
			assert.GreaterOrEqual(t, lost, int64(s.Dropped), "a dropped point has a value of at least 1")
			if s.Dropped == 0 {
				assert.Zero(t, lost)
			}
		})
	}
}
