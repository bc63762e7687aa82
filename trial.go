package asyncmetric

import (
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/asyncmetric/asyncmetric/queue"
)

const (
	// alertTime is how long, after a batch was found to be bad, others are put to
	// the test as soon as they fail: a series that makes the server fail is in
	// every collection.
	alertTime = time.Hour

	// attemptsAtOnce is how many attempts follow a success without a delay while
	// they fail: that of a suspect, those of its halves, and that of a probe.
	attemptsAtOnce = 4

	// A suspect is halved at most maxHalvings times, and at most vainHalvings
	// times in a row while no part of it gets through.
	maxHalvings, vainHalvings = 32, 6

	// attemptsForAProbe is how many attempts fail until a probe is sent, where no
	// success has just been seen.
	attemptsForAProbe = 2

	// maxNeighbours is how many more collections are in flight at most, so that
	// points of them can be sent, and maxUnused how many of which none has been.
	maxNeighbours, maxUnused = 64, 4

	// neighbourInterval is how long after the last success there may be one more,
	// where there are maxNeighbours, of which points have been sent in vain.
	neighbourInterval = time.Minute

	// probePoints is how many points of a neighbour are tried in turn.
	probePoints = 4

	// A part is set aside, too, if it has failed so often directly after something
	// else got through: where nothing else can be sent for confirmation, or where that
	// failed each time.
	strikesAlone, strikesAtMost = 4, 16

	// maxBadSeries is how many bad series are remembered.
	maxBadSeries = 64
)

// A trial puts to the test what keeps failing: is it the batch, or is the
// destination away? The worker makes one attempt after the other, with parts of
// what is in flight, and lets nothing overtake an earlier point of its series.
//
// While nothing gets through, it may be an outage, and attempts back off. As soon
// as something gets through, others follow at once. What fails directly after a
// success is halved. A part that cannot be halved any more is set aside if it
// fails directly after something else got through, twice in a row: each time in
// which the destination was away would have to begin between two attempts that
// follow each other.
type trial struct {
	*worker
	own    int                         // how many entries are in flight up to the suspect; what follows are neighbours
	sender *sender                     // that makes the attempts
	delays *backoff.ExponentialBackOff // between them

	attempts int       // made in the trial
	through  int       // the number of the last one that got through; 0 if none did
	well     bool      // the last one got through
	atOnce   int       // how many more may follow without a delay
	since    time.Time // when something got through last, or when the trial began
	vainly   int       // attempts in a row that failed and were not those of probes
	probes   int       // probes that failed, so that the next one is another point

	halvings, vain int
}

// putToTheTest ends what is suspected in flight: it gets through, or is set aside.
func (w *worker) putToTheTest() {
	f := &w.inflight
	first := f.takeSuspect()
	t := &trial{worker: w, own: f.upTo(first), sender: w.choose(1)[0], delays: first.delays, since: time.Now()}
	t.divide(first)
	t.pause(first)
	for w.ctx.Err() == nil && f.hasSuspect(t.own) {
		t.step()
	}
	t.release()
	f.endTrial()
}

// divide makes parts of the first suspect: of several collections, each; of one
// that has points of bad series, these and the others; else its halves.
func (t *trial) divide(b *outgoing) {
	isWhole := b.merged == nil
	for b.merged != nil {
		head, tail := b.cut(1)
		t.inflight.giveBack(head)
		b = tail
	}
	for i := 0; i < b.points(); {
		if !t.isBad(t.seriesOf(b)[i]) {
			i++
			continue
		}
		isWhole = false
		if i > 0 {
			var head *outgoing
			head, b = b.cut(i)
			t.inflight.giveBack(head)
		}
		bad := b
		if b.points() > 1 {
			bad, b = b.cut(1)
		} else {
			b = nil
		}
		bad.known, bad.tried = true, 1
		t.inflight.giveBack(bad)
		if b == nil {
			return
		}
		i = 0
	}
	if isWhole && b.points() > 1 {
		t.inflight.halve(b)
		return
	}
	t.inflight.giveBack(b)
}

// step makes the next attempt, and draws conclusions.
func (t *trial) step() {
	if t.atOnce == 0 {
		t.sender = t.choose(1)[0]
	}
	b, isProbe := t.next()
	wasWell := t.well
	b, r := t.attempt(b)
	if r != retry {
		return
	}
	t.vainly++
	b.suspect = b.suspect || !isProbe
	switch {
	case isProbe:
		t.failed()
	case b.unsent: // this attempt has shown nothing
		t.atOnce, t.vainly, t.since = 0, 0, time.Now()
	case wasWell && t.mayHalve(b):
		t.halvings++
		t.vain++
		t.inflight.halve(t.inflight.remove(b))
	case wasWell:
		t.confirm(b)
	}
	if t.atOnce == 0 {
		t.pause(b)
	}
}

// attempt makes one attempt with what fits into a request of a batch that waits,
// and returns that.
func (t *trial) attempt(b *outgoing) (*outgoing, result) {
	f := &t.inflight
	b = f.take(b)
	b.delays = t.delays
	t.attempts++
	r := t.sender.try(f, b)
	switch r {
	case exported:
		t.through, t.well, t.atOnce, t.since = t.attempts, true, attemptsAtOnce, time.Now()
		t.vainly = 0
		t.delays.Reset()
		if b.suspect {
			t.vain = 0
		}
	case retry:
		t.well, t.atOnce = false, max(0, t.atOnce-1)
		b.tried = t.attempts
		if b.joined != nil {
			f.giveBack(b.joined...)
		} else {
			f.giveBack(b)
		}
	}
	return b, r
}

// failed draws the conclusion from a witness that did not get through, or that
// there is not: the destination may be away.
func (t *trial) failed() {
	t.probes++
	t.atOnce = 0
	t.release()
}

// pause waits before the attempt that follows one with b.
func (t *trial) pause(b *outgoing) {
	if t.ctx.Err() == nil {
		t.sender.pause(b, t.sender.nextWait(b))
	}
}

func (t *trial) mayHalve(b *outgoing) bool {
	return b.points() > 1 && t.halvings < maxHalvings && t.vain < vainHalvings
}

// next returns the batch for the next attempt: the one that was tried longest
// ago, or a probe. A point that is known to be bad is tried after a success only.
func (t *trial) next() (b *outgoing, isProbe bool) {
	for _, other := range t.eligible() {
		if b == nil || other.tried < b.tried {
			b = other
		}
	}
	if t.mayProbe(b.tried > t.through) || b.known && !t.well {
		t.vainly = 0
		if probe := t.probe(); probe != nil {
			return probe, true
		}
		t.failed()
	}
	return b, false
}

// mayProbe reports whether a probe may be sent to find out whether the destination
// is there. Directly after a success that is so when a suspect and its halves have
// failed, or all suspects. Else it is so at every third attempt, if something got
// through before, or nothing for long: a probe shows a backend something newer than
// what will follow, which not every backend likes.
func (t *trial) mayProbe(allFailed bool) bool {
	if t.atOnce > 0 {
		return allFailed || t.vainly == attemptsAtOnce-1
	}
	return t.vainly >= attemptsForAProbe &&
		(t.through > 0 || time.Now().Before(t.alert) || time.Since(t.since) >= t.config.retry.Suspect)
}

// confirm decides about a part that failed directly after something else got
// through: it is set aside if it fails again, both at once, as one of several
// servers may be unwell, and after something else got through once more.
func (t *trial) confirm(b *outgoing) {
	if b.known {
		t.condemn(b)
		return
	}
	b, r := t.attempt(b)
	if r != retry {
		return
	}
	b.strikes++
	w := t.witness(b)
	if w == nil && b.strikes >= strikesAlone || b.strikes >= strikesAtMost {
		t.condemn(b)
		return
	}
	if w == nil {
		return
	}
	if _, r = t.attempt(w); r == retry {
		t.failed()
	} else if r == exported {
		if b, r = t.attempt(b); r == retry {
			t.condemn(b)
		}
	}
}

// condemn sets a part aside.
func (t *trial) condemn(b *outgoing) {
	f := &t.inflight
	f.remove(b)
	until := time.Now().Add(alertTime)
	t.alert, t.atOnce, t.well = until, attemptsAtOnce, true
	if b.points() == 1 {
		t.remember(t.seriesOf(b)[0], until)
	}
	t.sender.setAside(f, b, fmt.Errorf("%w: %w", errSetAside, b.failure))
	t.sender.conclude(b, dropped)
}

// isBad reports whether a series was found to be bad a short time ago.
func (t *trial) isBad(series uint64) bool { return time.Now().Before(t.bad[series]) }

// remember notes that a series is bad.
func (t *trial) remember(series uint64, until time.Time) {
	now := time.Now()
	for s, over := range t.bad {
		if !now.Before(over) {
			delete(t.bad, s)
		}
	}
	if t.bad == nil {
		t.bad = make(map[uint64]time.Time)
	}
	if len(t.bad) < maxBadSeries {
		t.bad[series] = until
	}
}

// neighbour takes one more collection from the queue, which stays in flight until
// the suspect has ended. It reports whether there was one.
func (t *trial) neighbour() bool {
	f := &t.inflight
	neighbours := f.entries[t.own:]
	unused := 0
	for _, entry := range neighbours {
		if f.waitsWhole(entry) {
			unused++
		}
	}
	if unused == maxUnused || len(neighbours) >= maxNeighbours && time.Since(t.since) < neighbourInterval {
		return false
	}
	entry, err := t.takeMore(queue.Limit{}, time.Now().Add(takeTimeout), nil)
	if err != nil {
		return false // an error of the queue comes again with the next Take
	}
	f.add(entry)
	f.giveBack(newOutgoing([]queue.Entry{entry}))
	return true
}

// release returns to the queue what it gave as neighbours, the newest first, but
// for what has been sent in part. There it can be coalesced.
func (t *trial) release() {
	f := &t.inflight
	for len(f.entries) > t.own && f.waitsWhole(f.entries[len(f.entries)-1]) {
		if err := f.removeLast().Return(); err != nil {
			t.reports.reportLimited("returning a collection to the queue", err)
		}
	}
}
