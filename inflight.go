package asyncmetric

import (
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/queue"
)

// inflight is what has been taken from the queue and is being delivered: one
// collection, or with merging several that fit into one batch. Nothing else is
// taken before it has ended. The worker makes and ends it; in between the senders
// share it. Its memory is used again.
type inflight struct {
	entries []queue.Entry // in order
	points  int
	inOrder bool // one batch goes out after the other

	tally *tally

	mu       sync.Mutex
	waiting  []*outgoing // batches that no sender has
	sending  int         // senders at work
	idle     chan struct{}
	exported int
	dropped  int
	drops    []Drop
}

// A tally counts the data points that are in flight and have not ended, and
// those that the stop lost. It has a lock of its own so that the sum is of one
// instant.
type tally struct {
	mu   sync.Mutex
	open int
	lost int
}

// add adds to both counts.
func (t *tally) add(open, lost int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open += open
	t.lost += lost
}

// undelivered returns how many data points the stop has lost, those included
// that are still in flight.
func (t *tally) undelivered() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open + t.lost
}

// An outgoing is a batch on its way: a part of a collection, or several
// collections that become one. It belongs to the sender that has it.
type outgoing struct {
	part     batch.Part
	merged   []queue.Entry // if any, these instead of the part
	position uint64        // of the first collection
	newest   time.Time     // when the collection of the part was accepted

	delays      *backoff.ExponentialBackOff
	attempts    int
	first, last time.Time // when the first attempt began and the last one ended
	failure     error     // of the last attempt that was worth another one
	result      error     // of the last attempt
}

func (b *outgoing) points() int {
	points := b.part.Points()
	for _, entry := range b.merged {
		points += entry.Points()
	}
	return points
}

// copy returns the data in a buffer.
func (b *outgoing) copy(buffer *batch.Buffer) *metricdata.ResourceMetrics {
	if b.merged == nil {
		return b.part.Copy(buffer)
	}
	collections := make([]*metricdata.ResourceMetrics, len(b.merged))
	for i, entry := range b.merged {
		collections[i] = entry.Collection()
	}
	return batch.Merge(buffer, collections...)
}

// expire removes what was accepted before a time, and returns how many data
// points that were.
func (b *outgoing) expire(before time.Time) (points int) {
	if b.newest.Before(before) {
		points = b.part.Points()
		b.part = batch.Part{}
	}
	for len(b.merged) > 0 && b.merged[0].Accepted().Before(before) {
		points += b.merged[0].Points()
		b.merged = b.merged[1:]
	}
	return points
}

// add adds an entry that was taken.
func (f *inflight) add(entry queue.Entry) {
	f.entries = append(f.entries, entry)
	f.points += entry.Points()
	f.tally.add(entry.Points(), 0)
}

// divide makes the batches of what has been added, of at most maxPoints data
// points where it is one collection. Several collections become one batch. Where
// one batch could overtake another one with an earlier point of the same series,
// they go out in order.
func (f *inflight) divide(maxPoints int) {
	first := f.entries[0]
	if len(f.entries) > 1 {
		f.waiting = append(f.waiting, &outgoing{position: first.Position(), merged: f.entries})
		return
	}
	for part := range batch.Split(first.Collection(), maxPoints) {
		f.waiting = append(f.waiting, &outgoing{position: first.Position(), part: part, newest: first.Accepted()})
	}
	f.inOrder = len(f.waiting) > 1 && batch.HasRepeatedSeries(first.Collection())
}

// parallel returns how many senders can be at work at once.
func (f *inflight) parallel() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inOrder {
		return min(1, len(f.waiting))
	}
	return len(f.waiting)
}

// begin says how many senders are about to work.
func (f *inflight) begin(senders int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sending, f.idle = senders, make(chan struct{})
}

// leave says that a sender works no more.
func (f *inflight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sending--
	if f.sending == 0 {
		close(f.idle)
	}
}

// next hands out a batch, nil if none waits.
func (f *inflight) next() *outgoing {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 {
		return nil
	}
	b := f.waiting[0]
	f.waiting = f.waiting[1:]
	return b
}

// giveBack takes a batch back for another sender.
func (f *inflight) giveBack(b *outgoing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = slices.Insert(f.waiting, 0, b)
}

// export accounts for points that have been exported.
func (f *inflight) export(points int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.exported += points
	f.tally.add(-points, 0)
}

// drop accounts for points that will not be. What is too old becomes one drop.
func (f *inflight) drop(drop Drop) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropped += drop.Points
	lost := 0
	if drop.Reason == ReasonShutdown {
		lost = drop.Points
	}
	f.tally.add(-drop.Points, lost)
	for i := range f.drops {
		if drop.Reason == ReasonAge && f.drops[i].Reason == ReasonAge {
			f.drops[i].Points += drop.Points
			return
		}
	}
	f.drops = append(f.drops, drop)
}

// left returns how many points have not ended.
func (f *inflight) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.points - f.exported - f.dropped
}

// outcomes yields each entry with what became of it. What was dropped is divided
// among the entries, the oldest first: of several, those are what was too old.
func (f *inflight) outcomes(yield func(queue.Entry, queue.Outcome) bool) {
	left := f.dropped
	for _, entry := range f.entries {
		dropped := min(left, entry.Points())
		left -= dropped
		if !yield(entry, queue.Outcome{Exported: entry.Points() - dropped, Dropped: dropped}) {
			return
		}
	}
}

// reset empties f, and keeps nothing of it alive.
func (f *inflight) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries, f.drops = emptied(f.entries), emptied(f.drops)
	f.waiting = nil
	f.points, f.exported, f.dropped, f.inOrder = 0, 0, 0, false
}

// emptied returns list without elements, and without memory if that is much.
func emptied[T any](list []T) []T {
	const most = 1 << 10
	if cap(list) > most {
		return nil
	}
	clear(list)
	return list[:0]
}

// ageOf returns how long ago t was; zero if that is not known, or if the clock
// has been set back.
func ageOf(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(0, time.Since(t))
}
