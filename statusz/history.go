package statusz

import (
	"slices"
	"time"

	"github.com/asyncmetric/asyncmetric"
)

const (
	minSpacing = time.Second // between two samples
	maxAge     = 10 * time.Minute
	maxSamples = 300
)

// counters are those that a rate is shown of.
type counters struct{ accepted, exported, coalesced, dropped uint64 }

func countersOf(s asyncmetric.Stats) counters {
	return counters{accepted: s.Accepted, exported: s.Exported, coalesced: s.Coalesced, dropped: s.Dropped}
}

// sample is what the counters were at one time.
type sample struct {
	at       time.Time
	counters counters
}

// history has the last samples of an exporter, the oldest first.
type history struct{ samples []sample }

// add takes s up unless it comes too soon after the last one, and forgets what
// has become too old or too much.
func (h *history) add(s sample) {
	tooOld := func(old sample) bool { return s.at.Sub(old.at) > maxAge }
	h.samples = slices.DeleteFunc(h.samples, tooOld)
	if n := len(h.samples); n > 0 && s.at.Sub(h.samples[n-1].at) < minSpacing {
		return
	}
	if len(h.samples) == maxSamples {
		h.samples = slices.Delete(h.samples, 0, 1)
	}
	h.samples = append(h.samples, s)
}

// intervals returns what happened between each sample and the next.
func (h *history) intervals() []interval {
	list := []interval{}
	for i := 1; i < len(h.samples); i++ {
		list = append(list, between(h.samples[i-1], h.samples[i]))
	}
	return list
}

// rates sums the intervals up. It returns nil if there are none.
func (h *history) rates(intervals []interval) *rates {
	if len(intervals) == 0 {
		return nil
	}
	last, all := intervals[len(intervals)-1], between(h.samples[0], h.samples[len(h.samples)-1])
	r := &rates{
		Current: last.perSecond, CurrentSeconds: last.Seconds,
		Mean: all.perSecond, WindowSeconds: all.Seconds,
	}
	for _, i := range intervals {
		r.Max = r.Max.max(i.perSecond)
	}
	return r
}

// between returns what happened from one sample to a later one.
func between(from, to sample) interval {
	seconds := to.at.Sub(from.at).Seconds()
	rate := func(before, after uint64) float64 {
		// Requests that overlap may have looked in the other order.
		if after < before {
			return 0
		}
		return float64(after-before) / seconds
	}
	return interval{Time: to.at.UTC(), Seconds: seconds, perSecond: perSecond{
		Accepted:  rate(from.counters.accepted, to.counters.accepted),
		Exported:  rate(from.counters.exported, to.counters.exported),
		Coalesced: rate(from.counters.coalesced, to.counters.coalesced),
		Dropped:   rate(from.counters.dropped, to.counters.dropped),
	}}
}
