package asyncmetric

import (
	"sync"
	"time"
)

const (
	// maxFailures is how often an exporter may fail in a row before its batch is
	// handed to another one.
	maxFailures = 3

	// restShare is how many times longer than its last attempt took an exporter
	// rests that handed its batch over. So one that hangs until its deadline takes
	// up at most about a tenth of the time of delivery.
	restShare = 10
)

// health says how the attempts of one exporter have gone.
type health struct {
	mu        sync.Mutex
	failures  int // in a row
	restUntil time.Time
}

func (h *health) succeeded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = 0
}

func (h *health) failed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures++
}

// count returns how many attempts in a row have failed.
func (h *health) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failures
}

// isFailing reports whether the exporter has failed too often.
func (h *health) isFailing() bool { return h.count() >= maxFailures }

// rest keeps the exporter from new batches while others take them.
func (h *health) rest(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.restUntil = time.Now().Add(d)
}

func (h *health) isResting() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Before(h.restUntil)
}
