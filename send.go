package asyncmetric

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/contain"
)

// A result is what came of an attempt, and in the end of sending a batch.
type result int

const (
	ready    result = iota // it is time for the next attempt
	exported               // but for points that the server rejected
	dropped
	parted   // its parts wait: it was too large, or some of it is bad
	retry    // it failed, and waits for its next attempt
	handOver // another sender may fare better
	suspect  // it fails for so long that it has to be put to the test
	stopped  // delivery has to stop
)

// work sends batches until none waits, or until it has to leave one to others.
func (s *sender) work(f *inflight) {
	defer f.leave()
	for b := f.next(); b != nil; b = f.next() {
		switch s.send(f, b) {
		case handOver:
			f.giveBack(b)
			return
		case suspect:
			f.suspect(b)
			return
		case stopped:
			return
		}
	}
}

// awaitPeers waits until no sender works any more. If delivery is stopped before,
// one of them is stuck: the exporters of the others are shut down meanwhile.
func (s *sender) awaitPeers(f *inflight) {
	select {
	case <-f.idle:
		return
	default:
	}
	select {
	case <-f.idle:
	case <-s.ctx.Done():
		_ = s.close(s.closeCtx) // the worker asks again
	}
}

// send makes attempts until the batch has ended, or this sender cannot end it.
func (s *sender) send(f *inflight, b *outgoing) (r result) {
	for {
		if r = s.try(f, b); r != retry {
			return r
		}
		if s.isSuspect(f, b) {
			return suspect
		}
		if r = s.backOff(f, b); r != ready {
			s.conclude(b, r)
			return r
		}
	}
}

// try makes one attempt, when it may be made.
func (s *sender) try(f *inflight, b *outgoing) result {
	if b.delays == nil {
		b.delays = s.config.retry.backOff()
	}
	r := s.await(f, b)
	if r == ready {
		r = s.attempt(f, b)
	}
	s.conclude(b, r)
	return r
}

// conclude tells the metrics, and the flushes that wait for it, if a batch has
// come to its end.
func (s *sender) conclude(b *outgoing, r result) {
	switch r {
	case exported, dropped, parted, stopped:
		if b.attempts > 0 {
			s.metrics.Concluded(b.last.Sub(b.first), errorTypeOf(b.result))
		}
	}
	if r == stopped && b.failure != nil {
		s.flushes.droppedInFlight(b.position, s.reports.name.errorf("the last attempt failed: %w", b.failure))
	}
}

// isSuspect reports whether a batch that has failed has to be put to the test: it
// has failed for long, or another one has been found to be bad a short time ago. It
// is not to blame where there was no connection.
func (s *sender) isSuspect(f *inflight, b *outgoing) bool {
	limit := s.config.retry.Suspect
	return limit > 0 && !b.unsent && (time.Since(b.failing) >= limit || time.Now().Before(s.alert) || f.isOnTrial())
}

// await waits until an attempt may be made, and drops what is too old for it or
// has been tried for too long.
func (s *sender) await(f *inflight, b *outgoing) result {
	for s.ctx.Err() == nil {
		s.expire(f, b)
		if b.points() == 0 {
			return dropped
		}
		if s.isElapsed(b, 0) {
			return s.drop(f, b, b.points(), ReasonElapsed, b.failure)
		}
		wait := s.hold.wait()
		if wait == 0 {
			wait = s.pacer.start()
		}
		if wait == 0 {
			return ready
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
		}
	}
	return stopped
}

// expire drops what is too old of a batch.
func (s *sender) expire(f *inflight, b *outgoing) {
	if s.config.maxAge == 0 {
		return
	}
	points := b.expire(time.Now().Add(-s.config.maxAge))
	if points == 0 {
		return
	}
	err := fmt.Errorf("%w: %v", errTooOld, s.config.maxAge)
	if b.failure != nil {
		err = fmt.Errorf("%w; the last attempt failed: %w", err, b.failure)
	}
	s.drop(f, b, points, ReasonAge, err)
}

// isElapsed reports whether an attempt after a wait would come too late.
func (s *sender) isElapsed(b *outgoing, wait time.Duration) bool {
	limit := s.config.retry.MaxElapsedTime
	return limit > 0 && b.failure != nil && time.Since(b.first)+wait > limit
}

// attempt makes one attempt.
func (s *sender) attempt(f *inflight, b *outgoing) result {
	begin := time.Now()
	if b.attempts++; b.attempts == 1 {
		b.first = begin
	} else {
		s.retries.Add(1)
		s.metrics.Retried()
	}
	a := s.export(b)
	b.last, b.result = time.Now(), a.err
	switch {
	case a.accepted:
		return s.accept(f, b, a)
	case s.ctx.Err() != nil:
		b.result = context.Cause(s.ctx) // it may be the stop that made the attempt fail
		return stopped
	}
	again := b.outOfRange
	b.outOfRange = a.isOutOfRange && a.verdict.Action == ActionRetry
	switch {
	case a.verdict.Action == ActionDrop:
		b.failing = time.Time{}
		s.answered()
		return s.refused(f, b, a.err)
	case a.verdict.Action == ActionSplit:
		b.failing = time.Time{}
		s.answered()
		if f.tooLarge(b) {
			return parted
		}
		return s.setAside(f, b, a.err)
	case again && b.outOfRange && f.tooLarge(b):
		return parted
	}
	if b.failing.IsZero() {
		b.failing = begin
	}
	b.took = b.last.Sub(begin)
	b.needsMending, b.unsent = a.verdict.Refused, a.unsent
	s.health.failed(b.took)
	if s.config.retryDisabled {
		return s.giveUp(f, b, a.err)
	}
	b.failure = a.err
	s.flushes.failed(b.position, a.err)
	if len(s.peers) == 1 || b.attempts > maxFailures {
		s.reports.failed(b.points(), a.err, a.advice)
	}
	return retry
}

// giveUp ends a batch whose only attempt failed: it is dropped, or, while
// Shutdown delivers what a durable queue has, left to the next process with all
// that is behind it. To try all that is queued once and then drop it is not what
// a shutdown while the backend is away should do to such a queue.
func (s *sender) giveUp(f *inflight, b *outgoing, err error) result {
	if s.durable && s.isClosing() {
		b.failure = err
		s.stop(errRetryOff)
		return stopped
	}
	if s.health.isFailing() && s.hasPeer() {
		s.restFor(b.took, err)
	}
	return s.setAside(f, b, err)
}

// answered notes that the destination is there: it took a batch, or refused it for
// good.
func (s *sender) answered() {
	s.health.succeeded()
	s.broken.reset()
	s.reports.answered()
}

// accept ends a batch that the server took, but for rejected points.
func (s *sender) accept(f *inflight, b *outgoing, a answer) result {
	rejected := min(b.points(), a.rejected)
	if rejected == b.points() {
		s.answered()
		return s.setAside(f, b, a.err)
	}
	f.export(b, b.points()-rejected)
	s.answered()
	switch {
	case rejected > 0:
		s.drop(f, b, rejected, ReasonPermanent, a.err)
	case a.err != nil:
		b.result = nil
		s.reports.reportLimited("exported, with a warning", a.err)
	}
	return exported
}

// bisectionBudget is how many requests Bisect may cost for one batch. To find one
// bad point of 8192 takes 26.
const bisectionBudget = 64

// refused takes care of a batch that was refused as bad. What protobuf cannot
// express is the reason where there is such a thing; then only that is dropped.
func (s *sender) refused(f *inflight, b *outgoing, err error) result {
	if invalid := b.takeInvalid(); invalid != nil {
		s.setAside(f, invalid, fmt.Errorf("text that is not valid UTF-8: %w", err))
		if b.points() == 0 {
			return dropped
		}
		f.giveBack(b)
		return parted
	}
	if s.config.retry.Bisect && b.points() > 1 {
		if b.bisections == nil {
			b.bisections = new(int)
		}
		if *b.bisections += 2; *b.bisections <= bisectionBudget {
			f.halve(b)
			return parted
		}
	}
	return s.setAside(f, b, err)
}

// setAside drops what is refused for good, and gives it to the dead letter.
func (s *sender) setAside(f *inflight, b *outgoing, err error) result {
	if s.deadLetter != nil {
		d := s.dropOf(b, b.points(), ReasonPermanent, err)
		if err := s.deadLetter.add(b.copy(new(batch.Buffer)), d); err != nil {
			s.reports.reportLimited("the dead letter", err)
		}
	}
	return s.drop(f, b, b.points(), ReasonPermanent, err)
}

// dropOf describes the drop of points of a batch.
func (s *sender) dropOf(b *outgoing, points int, reason DropReason, err error) Drop {
	return Drop{
		Exporter: string(s.reports.name), Points: points, Reason: reason, Err: err,
		Attempts: b.attempts, Position: b.position,
	}
}

// drop ends points of a batch without export.
func (s *sender) drop(f *inflight, b *outgoing, points int, reason DropReason, err error) result {
	d := s.dropOf(b, points, reason, err)
	f.drop(d)
	s.flushes.droppedInFlight(b.position, dropError(d))
	s.reports.reportDrop(d)
	return dropped
}

// backOff waits before the next attempt, and decides whether another sender should
// make it.
func (s *sender) backOff(f *inflight, b *outgoing) result {
	wait, next := s.nextWait(b), ready
	if s.isElapsed(b, wait) {
		return s.drop(f, b, b.points(), ReasonElapsed, b.failure)
	}
	if s.health.isFailing() && s.hasPeer() {
		wait, next = s.hold.wait(), handOver // the server may be that of the others, too
		s.restFor(b.took+wait, b.failure)
	}
	if !s.pause(b, wait) {
		return stopped
	}
	return next
}

// maxRefusedInterval is how far the delay grows where something has to be
// mended first.
const maxRefusedInterval = 5 * time.Minute

// nextWait returns how long to wait before the next attempt.
func (s *sender) nextWait(b *outgoing) time.Duration {
	b.delays.MaxInterval = s.config.retry.MaxInterval
	if b.needsMending {
		b.delays.MaxInterval = max(b.delays.MaxInterval, maxRefusedInterval)
	}
	return max(b.delays.NextBackOff(), s.leastWait())
}

// pause waits before the next attempt of a batch. A ForceFlush or Shutdown that
// has just begun to wait for the batch cuts that short, but not what the server
// or the least interval demands, and the delays start anew. It returns false if
// delivery has to stop.
func (s *sender) pause(b *outgoing, wait time.Duration) bool {
	failed := contain.Text(b.failure)
	show := func(wait time.Duration) { s.backingOff.Store(&backingOff{time.Now().Add(wait), failed}) }
	show(wait)
	defer s.backingOff.Store(nil)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		changed := s.flushes.untilChanged()
		if newest := s.flushes.newest(b.position); newest > s.lastFlush {
			s.lastFlush = newest
			b.delays.Reset()
			wait = s.leastWait()
			show(wait)
			timer.Reset(wait)
		}
		select {
		case <-timer.C:
			return true
		case <-changed:
		case <-s.ctx.Done():
			return false
		}
	}
}

// restFor lets the exporter, and all others that fail, rest for longer than an
// attempt took, and reports that.
func (s *sender) restFor(took time.Duration, err error) {
	d := max(s.config.retry.InitialInterval, restShare*took)
	for _, peer := range s.peers {
		if peer.health.isFailing() {
			peer.health.rest(d)
		}
	}
	if s.broken.take(time.Now()) {
		s.reports.report(fmt.Errorf("exporter %d of %d fails, and its batches go to the others: %w",
			1+slices.Index(s.peers, s), len(s.peers), err))
	}
}

// leastWait returns how long the next attempt has to wait, also for a flush.
func (s *sender) leastWait() time.Duration { return max(s.hold.wait(), s.pacer.wait()) }

// hasPeer reports whether another sender could take a batch over.
func (s *sender) hasPeer() bool {
	return slices.ContainsFunc(s.peers, func(other *sender) bool { return other != s && !other.health.isResting() })
}
