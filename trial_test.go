package asyncmetric_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// A strict backend takes what it can, and complains where the points of a series
// come out of order. Its points have values that only grow in each series.
type strict struct {
	t       *testing.T
	refuses func(rm *metricdata.ResourceMetrics) error // nil for nothing
	latency time.Duration

	mu       sync.Mutex // held but for the latency
	attempts int
	last     map[int64]int64 // the time of the last point of each series
	total    map[int64]int64 // of its values
}

func newStrict(t *testing.T, refuses func(*metricdata.ResourceMetrics) error) *strict {
	return &strict{t: t, refuses: refuses, last: make(map[int64]int64), total: make(map[int64]int64)}
}

func (s *strict) exporter() *metrictest.Exporter {
	return &metrictest.Exporter{OnExport: s.export}
}

func (s *strict) export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	select {
	case <-time.After(s.latency):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	if err := s.refuses(rm); err != nil {
		return err
	}
	for id, points := range seriesIn(rm) {
		for _, p := range points {
			assert.Greater(s.t, p.Time.Unix(), s.last[id], "series %d", id)
			s.last[id] = p.Time.Unix()
			s.total[id] += p.Value
		}
	}
	return nil
}

// assertNoPanic demands that no panic was contained.
func assertNoPanic(t *testing.T, r *record) {
	t.Helper()
	for _, text := range r.texts() {
		assert.NotContains(t, text, "panic")
	}
}

func (s *strict) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts
}

// seriesIn returns the values of each series in a collection of sums.
func seriesIn(rm *metricdata.ResourceMetrics) map[int64][]metricdata.DataPoint[int64] {
	points := make(map[int64][]metricdata.DataPoint[int64])
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				id, _ := p.Attributes.Value("series")
				points[id.AsInt64()] = append(points[id.AsInt64()], p)
			}
		}
	}
	return points
}

// sums returns a collection of one point of each of the series.
func sums(from, to int64, value int64, temporality metricdata.Temporality) *metricdata.ResourceMetrics {
	var points []metricdata.DataPoint[int64]
	start := time.Unix(0, 0)
	if temporality == metricdata.DeltaTemporality {
		start = time.Unix(value-1, 0)
	}
	for id := from; id < to; id++ {
		points = append(points, metricdata.DataPoint[int64]{
			Attributes: attribute.NewSet(attribute.Int64("series", id)),
			StartTime:  start, Time: time.Unix(value, 0), Value: value,
		})
	}
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
		Name: "n", Data: metricdata.Sum[int64]{Temporality: temporality, IsMonotonic: true, DataPoints: points},
	}}}}}
}

// grown returns a collection of cumulative sums of series, all of a value.
func grown(series, value int64) *metricdata.ResourceMetrics {
	return sums(0, series, value, metricdata.CumulativeTemporality)
}

// contains returns a refusal of all requests that have a point of the series.
func contains(err error, bad ...int64) func(*metricdata.ResourceMetrics) error {
	return func(rm *metricdata.ResourceMetrics) error {
		values := seriesIn(rm)
		for _, id := range bad {
			if len(values[id]) > 0 {
				return err
			}
		}
		return nil
	}
}

// kinds of failures that say nothing about the data.
var blameless = map[string]error{
	"an unknown error": errors.New("oh no"),
	"a deadline":       context.DeadlineExceeded,
	"UNAVAILABLE":      grpcError(14),
	"INTERNAL":         grpcError(13),
	"UNAUTHENTICATED":  grpcError(16),
	"OUT_OF_RANGE":     grpcError(11),
}

// Whatever the length of an outage, and wherever in a trial it ends or begins
// again, no point is lost, and none overtakes another of its series.
func TestNoOutageCostsAPoint(t *testing.T) {
	for kind, err := range blameless {
		for _, minutes := range []int{14, 16, 31, 47, 180} {
			for _, merging := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s for %d minutes, merging %v", kind, minutes, merging), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						begin, length := time.Now(), time.Duration(minutes)*time.Minute
						backend := newStrict(t, nil)
						backend.refuses = func(*metricdata.ResourceMetrics) error {
							at := time.Since(begin)
							if at < 2*length && (at < length || at > length+time.Second) { // with a second of health
								return err
							}
							return nil
						}
						inner := backend.exporter()
						opts := []asyncmetric.Option{asyncmetric.WithMaxExportBatchSize(40)}
						if merging {
							opts = append(opts, asyncmetric.WithMerging(0))
						}
						e, r := start(t, inner, opts...)
						n := 2*minutes + 10
						for i := range n {
							require.NoError(t, e.Export(t.Context(), sums(0, 30, int64(i+1), metricdata.DeltaTemporality)))
							elapse(time.Minute)
							assertConserved(t, e.Stats())
						}
						elapse(10 * time.Minute)
						assert.Zero(t, e.Stats().Queued)
						assert.Empty(t, r.dropped())
						for id := range int64(30) {
							assert.Equal(t, int64(n*(n+1)/2), backend.total[id], "series %d", id)
							assert.Equal(t, int64(n), backend.last[id])
						}
						assert.Equal(t, uint64(30*n), e.Stats().Exported)
						assertNoPanic(t, r)
						shutdown(t, e, inner)
					})
				})
			}
		}
	}
}

// What says nothing about the data costs none of it, and is not asked for often.
func TestTenHoursOfARefusalCostNothing(t *testing.T) {
	for name, err := range map[string]error{
		"401": overHTTP("401 Unauthorized", ""), "403": overHTTP("403 Forbidden", ""), "404": overHTTP("404 Not Found", ""),
		"405": overHTTP("405 Method Not Allowed", ""), "407": overHTTP("407 Proxy Authentication Required", ""),
		"408": overHTTP("408 Request Timeout", ""), "500": overHTTP("500 Internal Server Error", ""),
		"501": overHTTP("501 Not Implemented", ""), "UNAUTHENTICATED": grpcError(16), "PERMISSION_DENIED": grpcError(7),
		"UNIMPLEMENTED": grpcError(12), "NOT_FOUND": grpcError(5), "INTERNAL": grpcError(13), "UNKNOWN": grpcError(2),
		"a memory limiter": said(8, "data refused due to high memory usage"), "OUT_OF_RANGE": grpcError(11),
		"an exporter that was shut down": metric.ErrExporterShutdown, "an unknown error": errors.New("oh no"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 10 * 60
				var down atomic.Bool
				down.Store(true)
				backend := newStrict(t, nil)
				backend.refuses = func(*metricdata.ResourceMetrics) error {
					if down.Load() {
						return err
					}
					return nil
				}
				inner := backend.exporter()
				e, r := start(t, inner, asyncmetric.WithMaxExportBatchSize(64), asyncmetric.WithMaxQueueSize(1000))
				for i := range n {
					require.NoError(t, e.Export(t.Context(), sums(0, 100, int64(i+1), metricdata.DeltaTemporality)))
					elapse(time.Minute)
					assertConserved(t, e.Stats())
				}
				assert.LessOrEqual(t, backend.count(), n*4, "one in 15 s")
				down.Store(false)
				elapse(10 * time.Minute)
				assert.Zero(t, e.Stats().Queued)
				assert.Empty(t, r.dropped())
				for id := range int64(100) {
					assert.Equal(t, int64(n*(n+1)/2), backend.total[id])
				}
				assertNoPanic(t, r)
				shutdown(t, e, inner)
			})
		})
	}
}

// Until someone has mended something, asking often is of no use.
func TestDelaysGrowFurtherWhereTheAnswerIsARefusal(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		most time.Duration
	}{
		"401":             {overHTTP("401 Unauthorized", ""), 5 * time.Minute},
		"UNAUTHENTICATED": {grpcError(16), 5 * time.Minute},
		"500":             {overHTTP("500 Internal Server Error", ""), 30 * time.Second},
		"unknown":         {errors.New("oh no"), 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Duration
			begin := time.Now()
			inner := &metrictest.Exporter{OnExport: func(context.Context, *metricdata.ResourceMetrics) error {
				at = append(at, time.Since(begin))
				return c.err
			}}
			e, _ := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{Jitter: -1, Suspect: -1}))
			export(t, e, 1)
			elapse(2 * time.Hour)
			assert.Error(t, giveUp(e))
			n := len(at) - 1
			assert.Equal(t, c.most, at[n]-at[n-1], name)
		})
	}
}

// Where there is no connection, it cannot be the batch.
func TestWithoutAConnectionNothingIsPutToTheTest(t *testing.T) {
	for name, err := range map[string]error{
		"over HTTP": &url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}},
		"over gRPC": said(14, `connection error: desc = "transport: Error while dialing: dial tcp: i/o timeout"`),
	} {
		synctest.Test(t, func(t *testing.T) {
			var down atomic.Bool
			down.Store(true)
			var requests []int
			inner := &metrictest.Exporter{OnExport: func(_ context.Context, rm *metricdata.ResourceMetrics) error {
				requests = append(requests, batch.Points(rm))
				if down.Load() {
					return err
				}
				return nil
			}}
			e, _ := start(t, inner)
			for i := range 100 {
				require.NoError(t, e.Export(t.Context(), grown(20, int64(i+1))))
				elapse(time.Minute)
			}
			down.Store(false)
			elapse(time.Minute)
			for _, points := range requests {
				assert.Equal(t, 20, points, name)
			}
			assert.Equal(t, uint64(2000), e.Stats().Exported)
			shutdown(t, e, inner)
		})
	}
}

// A batch that makes the backend fail is found out. What is lost is what is bad,
// or at most that batch, and within the hour all else has arrived.
func TestABadBatchBlocksNothing(t *testing.T) {
	hang := func(bad func(*metricdata.ResourceMetrics) error) func(*metricdata.ResourceMetrics) error {
		return func(rm *metricdata.ResourceMetrics) error {
			err := bad(rm)
			if err != nil {
				time.Sleep(30 * time.Second)
			}
			return err
		}
	}
	first := func(rm *metricdata.ResourceMetrics) error { // all of the first collection
		for _, values := range seriesIn(rm) {
			if values[0].Time.Unix() == 1 {
				return errors.New("crashed")
			}
		}
		return nil
	}
	crash := errors.New("crashed")
	for name, c := range map[string]struct {
		refuses func(*metricdata.ResourceMetrics) error
		most    int // points lost of the first collection
	}{
		"the first point":              {contains(crash, 0), 1},
		"the last point":               {contains(crash, 99), 1},
		"a point in the middle":        {contains(crash, 50), 1},
		"two points":                   {contains(crash, 20, 70), 2},
		"three neighbours":             {contains(crash, 20, 21, 22), 3},
		"a point that hangs":           {hang(contains(context.DeadlineExceeded, 37)), 1},
		"all points":                   {first, 100},
		"all points that hang":         {hang(first), 100},
		"a batch as large as this one": {tooSlow(40), 0},
		"a batch with 500":             {contains(grpcError(13), 3), 1},
		"a batch with 401":             {contains(grpcError(16), 3), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := newStrict(t, nil)
				isFirst := true
				backend.refuses = func(rm *metricdata.ResourceMetrics) error {
					isFirst = false
					for _, values := range seriesIn(rm) {
						isFirst = isFirst || values[0].Time.Unix() == 1
					}
					if isFirst {
						return c.refuses(rm)
					}
					return nil
				}
				inner := backend.exporter()
				e, r := start(t, inner, asyncmetric.WithOverflow(queue.DropNewest))
				const n = 60
				for i := range n {
					require.NoError(t, e.Export(t.Context(), sums(0, 100, int64(i+1), metricdata.CumulativeTemporality)))
					elapse(time.Minute)
					assertConserved(t, e.Stats())
				}
				elapse(time.Minute)
				lost := r.dropped()
				assert.Zero(t, e.Stats().Queued, "all is delivered within the hour: %v", lost)
				assert.LessOrEqual(t, lost[asyncmetric.ReasonPermanent], c.most)
				delete(lost, asyncmetric.ReasonPermanent)
				assert.Empty(t, lost)
				assert.Len(t, backend.last, 100)
				for id, last := range backend.last {
					assert.Equal(t, int64(n), last, "series %d", id)
				}
				assertNoPanic(t, r)
				shutdown(t, e, inner)
			})
		})
	}
}

// tooSlow is a backend that times out with more than n points.
func tooSlow(n int) func(*metricdata.ResourceMetrics) error {
	return func(rm *metricdata.ResourceMetrics) error {
		if batch.Points(rm) > n {
			time.Sleep(30 * time.Second)
			return context.DeadlineExceeded
		}
		return nil
	}
}

// One of two servers behind an address is unwell, so that every other request fails,
// in the hour in which all that fails is put to the test.
func TestAServerOfTwoThatIsUnwellCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := newStrict(t, nil)
		var requests, phase atomic.Int64
		backend.refuses = func(rm *metricdata.ResourceMetrics) error {
			if phase.Load() == 0 {
				return contains(grpcError(13), 7)(rm)
			}
			if requests.Add(1)%2 == 0 {
				return grpcError(14)
			}
			return nil
		}
		inner := backend.exporter()
		e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{Suspect: time.Minute}))
		for i := range 5 {
			require.NoError(t, e.Export(t.Context(), grown(10, int64(i+1))))
			elapse(time.Minute)
		}
		elapse(5 * time.Minute)
		lost := r.dropped()[asyncmetric.ReasonPermanent]
		assert.Positive(t, lost)
		phase.Store(1)
		for i := 5; i < 50; i++ {
			require.NoError(t, e.Export(t.Context(), sums(10, 20, int64(i+1), metricdata.CumulativeTemporality)))
		}
		elapse(30 * time.Minute)
		assert.Zero(t, e.Stats().Queued)
		assert.Equal(t, lost, r.dropped()[asyncmetric.ReasonPermanent], "none more")
		shutdown(t, e, inner)
	})
}

// A series that makes the backend fail, in each of 60 collections: it is lost, no
// other is, and two hours later nothing waits.
func TestABadSeriesCostsItselfOnly(t *testing.T) {
	for name, hangs := range map[string]time.Duration{"fails at once": 0, "hangs": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := newStrict(t, func(rm *metricdata.ResourceMetrics) error {
					err := contains(grpcError(13), 66)(rm)
					if err != nil {
						time.Sleep(hangs)
					}
					return err
				})
				inner := backend.exporter()
				e, r := start(t, inner)
				for i := range 60 {
					require.NoError(t, e.Export(t.Context(), grown(100, int64(i+1))))
					elapse(time.Minute)
					assertConserved(t, e.Stats())
				}
				elapse(2 * time.Hour)
				assert.LessOrEqual(t, e.Stats().Queued, 1, "the last one has no neighbour that would show that the backend is there")
				assert.LessOrEqual(t, r.dropped()[asyncmetric.ReasonPermanent], 60)
				assert.NotContains(t, backend.last, int64(66))
				delete(backend.last, 66)
				assert.Len(t, backend.last, 99)
				for id, last := range backend.last {
					assert.Equal(t, int64(60), last, "series %d", id)
				}
				_ = giveUp(e)
			})
		})
	}
}

// An outage that flickers at random is never mistaken for bad data, however long
// the attempts take, and bad data costs nothing else.
func TestAFlickeringOutageCostsNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		up := time.Duration(rapid.IntRange(1000, 5000).Draw(rt, "up ms")) * time.Millisecond
		down := time.Duration(rapid.IntRange(1, 90).Draw(rt, "down min")) * time.Minute
		latency := time.Duration(rapid.IntRange(0, 1).Draw(rt, "latency")) * 50 * time.Millisecond
		series := rapid.Int64Range(1, 12).Draw(rt, "series")
		suspect := time.Duration(rapid.IntRange(1, 15).Draw(rt, "suspect")) * time.Minute
		temporality := rapid.SampledFrom([]metricdata.Temporality{
			metricdata.DeltaTemporality, metricdata.CumulativeTemporality}).Draw(rt, "temporality")
		bad := map[int64]bool{} // series that make the backend fail
		for range rapid.IntRange(0, 2).Draw(rt, "bad") {
			bad[rapid.Int64Range(0, series).Draw(rt, "bad series")] = true
		}
		repeated := rapid.Bool().Draw(rt, "repeated")
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("seed %d, up %v, down %v, latency %v, %d series, bad %v, repeated %v, %v, suspect %v",
						seed, up, down, latency, series, bad, repeated, temporality, suspect)
				}
			}()
			rng := rand.New(rand.NewPCG(seed, 2))
			backend := newStrict(t, nil)
			backend.latency = latency
			changes, isUp := time.Now(), true
			var healed atomic.Bool
			backend.refuses = func(rm *metricdata.ResourceMetrics) error {
				for !changes.After(time.Now()) {
					isUp = !isUp
					length := down
					if isUp {
						length = up
					}
					changes = changes.Add(time.Duration(rng.Int64N(2*int64(length))) + 1)
				}
				if !isUp && !healed.Load() {
					return errTransient
				}
				return contains(errTransient, slices.Collect(maps.Keys(bad))...)(rm)
			}
			inner := backend.exporter()
			e, r := start(t, inner, asyncmetric.WithRetry(asyncmetric.Retry{Suspect: suspect}))
			const n = 200
			for i := 0; i < n; i++ {
				rm := sums(0, series, int64(i+1), temporality)
				if repeated { // a collection that has each series twice
					i++
					next := sums(0, series, int64(i+1), temporality)
					rm.ScopeMetrics[0].Metrics = append(rm.ScopeMetrics[0].Metrics, next.ScopeMetrics[0].Metrics...)
				}
				require.NoError(t, e.Export(t.Context(), rm))
				elapse(time.Minute)
				assertConserved(t, e.Stats())
			}
			healed.Store(true)
			elapse(6 * time.Hour)
			if len(bad) == 0 {
				assert.Zero(t, e.Stats().Queued)
				assert.Empty(t, r.dropped())
				assert.Equal(t, uint64(n)*uint64(series), e.Stats().Exported)
			}
			good := 0
			for id := range series {
				if bad[id] {
					assert.NotContains(t, backend.last, id)
					continue
				}
				good++
				assert.Equal(t, int64(n), backend.last[id])
				if temporality == metricdata.DeltaTemporality {
					assert.Equal(t, int64(n*(n+1)/2), backend.total[id], "series %d", id)
				}
			}
			assert.LessOrEqual(t, r.dropped()[asyncmetric.ReasonPermanent], n*(int(series)-good), "what is bad, and nothing else")
			if good > 0 {
				assert.LessOrEqual(t, e.Stats().Queued, 4*n, "what is bad at the end, with nothing behind it")
			}
			_ = giveUp(e)
			assertNoPanic(t, r)
			assertSettled(t, e.Stats())
		})
	})
}
