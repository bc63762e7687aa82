package queuetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/queue"
)

// observed is what an Observer has heard.
type observed struct {
	changed chan struct{} // capacity 1
	started atomic.Bool   // the observer has been handed out

	mu       sync.Mutex
	drops    []queue.Drop
	failures []error
	then     func(queue.Drop) // called after a drop has been recorded
}

func newObserved() *observed {
	return &observed{changed: make(chan struct{}, 1), then: func(queue.Drop) {}}
}

func (o *observed) observer() queue.Observer {
	o.started.Store(true)
	return queue.Observer{Dropped: o.dropped, Failed: o.failed}
}

func (o *observed) dropped(d queue.Drop) {
	o.mu.Lock()
	o.drops = append(o.drops, d)
	then := o.then
	o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	then(d)
}

func (o *observed) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures = append(o.failures, err)
}

// onDrop makes f part of the observer.
func (o *observed) onDrop(f func(queue.Drop)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.then = f
}

// await requires that the drops reported so far, or soon, are well formed and
// make up the given number of data points. It returns them.
func (o *observed) await(s *subject, points int) []queue.Drop {
	s.t.Helper()
	for {
		drops, sum := o.reported(s)
		if sum >= points {
			require.Equal(s.t, points, sum, "data points whose drop the Observer has heard of, against those that the queue dropped")
			return drops
		}
		select {
		case <-o.changed:
		case <-s.ctx.Done():
			require.FailNow(s.t, "the Observer has not heard of every drop", "heard of %d data points of %d", sum, points)
		}
	}
}

func (o *observed) reported(s *subject) (drops []queue.Drop, points int) {
	s.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	require.Empty(s.t, o.failures, "errors reported to the Observer, though nothing fails")
	for _, d := range o.drops {
		require.Positivef(s.t, d.Points, "Points of %+v", d)
		require.Errorf(s.t, d.Err, "Err of %+v", d)
		require.NotZerof(s.t, d.Position, "Position of %+v", d)
		require.Emptyf(s.t, d.Exporter, "Exporter of %+v", d)
		points += d.Points
	}
	return append(drops, o.drops...), points
}

// inconsistency returns what is wrong with stats, whatever has happened.
func inconsistency(s queue.Stats) error {
	if s.Accepted != s.Exported+s.Dropped+s.Coalesced+uint64(s.Queued) {
		return fmt.Errorf("the sum Accepted == Exported + Dropped + Coalesced + Queued does not hold: %+v", s)
	}
	if s.Bytes < 0 {
		return fmt.Errorf("the field Bytes is negative: %+v", s)
	}
	if s.InFlight < 0 || s.InFlight > s.Queued {
		return fmt.Errorf("what is in flight is not part of what is queued: %+v", s)
	}
	if (s.Queued == 0) != (s.Collections == 0) || (s.Queued == 0) != s.Oldest.IsZero() {
		return fmt.Errorf("the fields Queued, Collections and Oldest disagree on whether anything is queued: %+v", s)
	}
	if s.Queued > 0 && s.First == 0 || s.First > s.Last {
		return fmt.Errorf("the position First is not that of something queued: %+v", s)
	}
	return nil
}

// decrease returns an error if a counter is lower in s than in before.
func decrease(before, s queue.Stats) error {
	if s.Accepted < before.Accepted || s.Exported < before.Exported ||
		s.Dropped < before.Dropped || s.Coalesced < before.Coalesced ||
		s.Exemplars < before.Exemplars || s.Last < before.Last {
		return errors.Join(errors.New("a counter has decreased"), fmt.Errorf("from %+v to %+v", before, s))
	}
	if s.First != 0 && s.First < before.First {
		return fmt.Errorf("the position First has decreased: from %+v to %+v", before, s)
	}
	return nil
}
