package integration

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var (
	soakTime = flag.Duration("soak", 3*time.Second, "how long the soak lasts")
	soakSeed = flag.Uint64("soakseed", 0, "seed of what is random in the soak; 0 for one that is itself random")
)

// A soak is applications that count, each exporting through several lines, and
// what happens to them for a while.
type soak struct {
	t        *testing.T
	seed     uint64
	streams  uint64 // of random numbers
	services []*service

	flushes, cutFlushes, restarts, cutRestarts atomic.Int64
}

// Everything goes on at once: goroutines that count, readers that collect by
// the clock, outages, flushes that are often cut short, and restarts. In the
// end, whatever is taken up must have been given back, and each receiver must
// have what was counted.
func TestSoak(t *testing.T) {
	s := newSoak(t)
	ctx, cancel := context.WithTimeout(t.Context(), *soakTime)
	defer cancel()
	var vitals vitals
	var actors sync.WaitGroup
	s.trouble(ctx, &actors)
	s.flush(ctx, &actors)
	actors.Go(func() { vitals.watch(ctx, s) })
	s.restart(ctx)
	actors.Wait()

	for _, service := range s.services {
		service.close()
	}
	for _, service := range s.services {
		service.deliver()
	}
	s.report(&vitals)
	vitals.assertFlat(t)
}

func newSoak(t *testing.T) *soak {
	s := &soak{t: t, seed: *soakSeed}
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	t.Logf("-soakseed %d", s.seed)
	for _, lines := range soakLines() {
		service := &service{t: t, lines: lines, random: s.random(), counted: make(counts)}
		for _, l := range lines {
			l.prepare(t)
		}
		service.open()
		s.services = append(s.services, service)
	}
	return s
}

// random returns a source that depends on the seed only. Each goroutine has its
// own.
func (s *soak) random() *rand.Rand {
	s.streams++
	return rand.New(rand.NewPCG(s.seed, s.streams))
}

// trouble starts an outage after another at each receiver, until ctx ends. In
// the end there is none.
func (s *soak) trouble(ctx context.Context, actors *sync.WaitGroup) {
	longest := min(max(*soakTime/20, 200*time.Millisecond), 5*time.Second)
	for _, service := range s.services {
		for _, l := range service.lines {
			random := s.random()
			actors.Go(func() { l.receiver.misbehave(ctx, random, longest) })
		}
	}
}

// flush starts goroutines that flush any of the lines, until ctx ends.
func (s *soak) flush(ctx context.Context, actors *sync.WaitGroup) {
	var lines []*line
	for _, service := range s.services {
		lines = append(lines, service.lines...)
	}
	for range 3 {
		random := s.random()
		actors.Go(func() {
			for ; ctx.Err() == nil; pause(ctx, upTo(random, 100*time.Millisecond)) {
				s.flushes.Add(1)
				if !lines[random.IntN(len(lines))].flush(upTo(random, time.Second)) {
					s.cutFlushes.Add(1)
				}
			}
		})
	}
}

// restart restarts one after the other of the services that survive it, until
// ctx ends.
func (s *soak) restart(ctx context.Context) {
	random := s.random()
	for pause(ctx, *soakTime/20); ctx.Err() == nil; pause(ctx, upTo(random, *soakTime/20)) {
		for _, service := range s.services {
			if service.durable() {
				s.restarts.Add(1)
				if !service.restart(upTo(random, 300*time.Millisecond)) {
					s.cutRestarts.Add(1)
				}
			}
		}
	}
}

// report says what the soak has been through, and demands that it has been
// through everything if it was long.
func (s *soak) report(v *vitals) {
	var collections, points, repeated, outages, absences int64
	for _, service := range s.services {
		for _, l := range service.lines {
			collections += l.collections.Load()
			points += l.receiver.ledger.points
			repeated += l.receiver.ledger.repeated
			outages += l.receiver.outages
			absences += l.receiver.absences
		}
	}
	s.t.Logf("%d collections, arrived as %d points, %d of them again", collections, points, repeated)
	s.t.Logf("%d outages, in %d of them the receiver was gone", outages, absences)
	s.t.Logf("%d flushes, %d of them cut short; %d restarts, %d of them with a backlog",
		s.flushes.Load(), s.cutFlushes.Load(), s.restarts.Load(), s.cutRestarts.Load())
	s.t.Log(v)
	if *soakTime < time.Minute {
		return // something may not have had its turn
	}
	for _, n := range []int64{repeated, absences, s.cutFlushes.Load(), s.flushes.Load() - s.cutFlushes.Load(), s.cutRestarts.Load()} {
		assert.NotZero(s.t, n)
	}
}

// pause lets time go by while ctx lives.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func upTo(random *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(most) + 1))
}
