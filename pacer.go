package asyncmetric

import (
	"sync"
	"time"
)

// pacer keeps the starts of two Exports apart, whichever sender makes them.
type pacer struct {
	interval time.Duration // 0 for as they come

	mu   sync.Mutex
	last time.Time // when the last one started
}

// start lets an Export start, or returns how long it has to wait before it asks
// again.
func (p *pacer) start() (wait time.Duration) {
	if p.interval == 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if wait := p.remaining(); wait > 0 {
		return wait
	}
	p.last = time.Now()
	return 0
}

// started tells when an Export really starts, if that is some time after start
// let it.
func (p *pacer) started() {
	if p.interval == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
}

// wait returns how long an Export would have to wait now, if that is above 0.
func (p *pacer) wait() time.Duration {
	if p.interval == 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.remaining()
}

func (p *pacer) remaining() time.Duration {
	if p.last.IsZero() {
		return 0
	}
	return p.interval - time.Since(p.last)
}
