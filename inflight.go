package asyncmetric

import (
	"slices"
	"sync"
	"time"

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
	order   order

	tally *tally

	mu       sync.Mutex
	waiting  []*outgoing // batches that no sender has, the oldest data first
	onTrial  bool        // one of them is suspected, and senders leave them to the worker
	sizes    sizes
	sending  int // senders at work
	idle     chan struct{}
	exported int
	dropped  int
	drops    []Drop
}

// An order says whether a batch must not go out before the one in front of it has
// ended: where it could overtake an earlier point of one of its series.
type order int

const (
	orderUnknown order = iota
	orderAny
	orderKept
)

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

// add adds an entry that was taken.
func (f *inflight) add(entry queue.Entry) {
	f.entries, f.order = append(f.entries, entry), orderUnknown
	f.points += entry.Points()
	f.tally.add(entry.Points(), 0)
}

// divide makes the batches of what has been added. Several collections become
// one batch, and one collection becomes as many as the limit makes necessary.
func (f *inflight) divide() {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, limit := newOutgoing(f.entries), f.limit()
	for b.merged == nil && limit > 0 && b.points() > limit {
		head, tail := b.cut(limit)
		f.waiting = append(f.waiting, head)
		b = tail
	}
	f.waiting = append(f.waiting, b)
}

// limit returns how many points a batch may have; 0 for no limit. The caller
// holds the lock.
func (f *inflight) limit() int { return atMost(f.sizes.most, f.sizes.limit()) }

// batchLimit returns how many points a batch may have, and how many of them are
// known to be too many for a request; 0 for no limit.
func (f *inflight) batchLimit() (limit, learnt int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.limit(), f.sizes.limit()
}

// parallel returns how many senders can be at work at once. No sender works now.
func (f *inflight) parallel() int {
	n := len(f.waiting)
	if n > 1 && f.isInOrder() {
		return 1
	}
	return n
}

// isInOrder reports whether one batch goes out after the other. No sender works
// now.
func (f *inflight) isInOrder() bool {
	if f.order == orderUnknown {
		f.order = orderAny
		if len(f.entries) > 1 || batch.HasRepeatedSeries(f.entries[0].Collection()) {
			f.order = orderKept
		}
	}
	return f.order == orderKept
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

// next hands out a batch; nil if none waits, or if a trial is due.
func (f *inflight) next() *outgoing {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 || f.onTrial {
		return nil
	}
	b := f.waiting[0]
	f.waiting = f.waiting[1:]
	return f.fit(b)
}

// take hands out what fits into a request of a batch that waits.
func (f *inflight) take(b *outgoing) *outgoing {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fit(f.remove(b))
}

// remove returns a batch that waits, and does not any more. The caller holds the
// lock, or no sender works now.
func (f *inflight) remove(b *outgoing) *outgoing {
	i := slices.Index(f.waiting, b)
	f.waiting = slices.Delete(f.waiting, i, i+1)
	return b
}

// fit returns what fits into a request of b; the rest waits. The caller holds the
// lock.
func (f *inflight) fit(b *outgoing) *outgoing {
	for limit := f.limit(); limit > 0 && b.points() > limit; {
		head, tail := b.cut(limit)
		f.insert(tail)
		b = head
	}
	return b
}

// insert puts batches among those that wait. The caller holds the lock.
func (f *inflight) insert(batches ...*outgoing) {
	for _, b := range batches {
		i, _ := slices.BinarySearchFunc(f.waiting, b, (*outgoing).compare)
		f.waiting = slices.Insert(f.waiting, i, b)
	}
}

// giveBack takes batches back, for the next attempt.
func (f *inflight) giveBack(batches ...*outgoing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.insert(batches...)
}

// halve takes a batch back as two.
func (f *inflight) halve(b *outgoing) { f.giveBack(b.halves()...) }

// tooLarge takes back a batch that was refused as too large, in parts, and reports
// whether it could: a single data point has no parts.
func (f *inflight) tooLarge(b *outgoing) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	b.refusal = f.sizes.refused(b.points(), b.refusal)
	if b.points() == 1 {
		return false
	}
	f.insert(b.halves()...)
	return true
}

// suspect takes back a batch that has failed for so long that it is put to the
// test.
func (f *inflight) suspect(b *outgoing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b.suspect, f.onTrial = true, true
	f.insert(b)
}

// takeSuspect returns the oldest batch that is suspected. No sender works now.
func (f *inflight) takeSuspect() *outgoing {
	return f.remove(f.waiting[slices.IndexFunc(f.waiting, (*outgoing).isSuspect)])
}

// upTo returns how many entries are in flight up to those of a batch. No sender
// works now.
func (f *inflight) upTo(b *outgoing) int {
	i := slices.IndexFunc(f.entries, func(entry queue.Entry) bool { return entry.Position() == b.position })
	return i + max(1, len(b.merged))
}

// hasSuspect reports whether a batch that waits, of the first n entries, is
// suspected. No sender works now.
func (f *inflight) hasSuspect(n int) bool {
	last := f.entries[n-1].Position()
	return slices.ContainsFunc(f.waiting, func(b *outgoing) bool { return b.suspect && b.position <= last })
}

// endTrial leaves what waits to the senders again.
func (f *inflight) endTrial() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onTrial = false
	for _, b := range f.waiting {
		b.suspect, b.tried, b.strikes = false, 0, 0
	}
}

// waitsWhole reports whether all of an entry waits. No sender works now.
func (f *inflight) waitsWhole(entry queue.Entry) bool {
	waiting := 0
	for _, b := range f.waiting {
		if b.position == entry.Position() {
			waiting += b.points()
		}
	}
	return waiting == entry.Points()
}

// removeLast removes the last entry, all of which waits, and returns it. No sender
// works now.
func (f *inflight) removeLast() queue.Entry {
	entry := f.entries[len(f.entries)-1]
	f.waiting = slices.DeleteFunc(f.waiting, func(b *outgoing) bool { return b.position == entry.Position() })
	f.entries = f.entries[:len(f.entries)-1]
	f.points -= entry.Points()
	f.tally.add(-entry.Points(), 0)
	return entry
}

// isOnTrial reports whether a trial is due.
func (f *inflight) isOnTrial() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.onTrial
}

// export accounts for points that have been exported, of a batch that got
// through.
func (f *inflight) export(b *outgoing, points int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sizes.exported(b.points())
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

// ended is what has ended of what was in flight, entry by entry.
type ended struct {
	entries           []queue.Entry
	exported, dropped int
	drops             []Drop
}

// outcomes yields each entry with what became of it. What was dropped is divided
// among the entries, the oldest first: of several, those are what was too old.
func (e *ended) outcomes(yield func(queue.Entry, queue.Outcome) bool) {
	left := e.dropped
	for _, entry := range e.entries {
		dropped := min(left, entry.Points())
		left -= dropped
		if !yield(entry, queue.Outcome{Exported: entry.Points() - dropped, Dropped: dropped}) {
			return
		}
	}
}

// endedFirst returns how many of the first entries have ended while others wait. No
// sender works now.
func (f *inflight) endedFirst() (n int) {
	for len(f.waiting) > 0 && f.entries[n].Position() < f.waiting[0].position {
		n++
	}
	return n
}

// first returns what became of the first n entries, which have ended. No sender
// works now.
func (f *inflight) first(n int) *ended {
	e := &ended{entries: f.entries[:n], exported: f.exported, dropped: f.dropped, drops: f.drops}
	if n == len(f.entries) {
		return e
	}
	e.drops, e.exported, e.dropped = nil, 0, 0
	for _, d := range f.drops {
		if d.Position <= f.entries[n-1].Position() {
			e.drops = append(e.drops, d)
			e.dropped += d.Points
		}
	}
	for _, entry := range e.entries {
		e.exported += entry.Points()
	}
	e.dropped = min(e.dropped, e.exported)
	e.exported -= e.dropped
	return e
}

// forget removes what has been settled. No sender works now.
func (f *inflight) forget(e *ended) {
	if len(e.entries) == len(f.entries) {
		f.reset()
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	last := e.entries[len(e.entries)-1].Position()
	f.entries = slices.Delete(f.entries, 0, len(e.entries))
	f.drops = slices.DeleteFunc(f.drops, func(d Drop) bool { return d.Position <= last })
	f.points -= e.exported + e.dropped
	f.exported -= e.exported
	f.dropped -= e.dropped
	f.order = orderUnknown
}

// reset empties f, and keeps nothing of it alive.
func (f *inflight) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries, f.drops = emptied(f.entries), emptied(f.drops)
	f.waiting, f.onTrial = nil, false
	f.points, f.exported, f.dropped, f.order = 0, 0, 0, orderUnknown
	f.sizes.settle()
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
