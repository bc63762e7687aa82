package asyncmetric

import (
	"sync"
	"time"
)

// A pacer says when the next Export may start: not before the least interval
// since the last one is over, nor before a time that a server named.
type pacer struct {
	interval time.Duration // 0 for none

	mu       sync.Mutex
	earliest time.Time // of the next start
}

// start lets an Export start, or returns how long it has to wait before it asks
// again.
func (p *pacer) start() (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if wait := time.Until(p.earliest); wait > 0 {
		return wait
	}
	p.earliest = time.Now().Add(p.interval)
	return 0
}

// started moves the interval to where an Export really starts, some time after
// start let it.
func (p *pacer) started() { p.hold(p.interval) }

// hold lets no Export start for d.
func (p *pacer) hold(d time.Duration) {
	if d <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := time.Now().Add(d); t.After(p.earliest) {
		p.earliest = t
	}
}

// wait returns how long an Export would have to wait now.
func (p *pacer) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, time.Until(p.earliest))
}
