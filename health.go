package asyncmetric

import (
	"cmp"
	"sync"
	"time"
)

const (
	// maxFailures is how often an exporter may fail in a row before its batch is
	// handed to another one.
	maxFailures = 3

	// restShare is how many times longer than its last attempt took an exporter
	// rests that handed its batch over. So those that hang until their deadline
	// take up at most about a tenth of the time of delivery.
	restShare = 10

	// hangTime is how long a failed attempt took that hung.
	hangTime = time.Second
)

// health says how the attempts of one exporter have gone.
type health struct {
	mu        sync.Mutex
	failures  int       // in a row, up to maxFailures
	hung      bool      // one of them took longer than hangTime
	failedAt  time.Time // the last of them; zero if there is none
	restUntil time.Time
}

// succeeded forgets the failures. Of those that hung it forgets one at a time: an
// exporter that hangs every other time is not well.
func (h *health) succeeded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures--
	if h.failures <= 0 || !h.hung {
		h.failures, h.hung, h.failedAt = 0, false, time.Time{}
	}
}

func (h *health) failed(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures, h.failedAt = min(maxFailures, h.failures+1), time.Now()
	h.hung = h.hung || took >= hangTime
}

// recent returns how many attempts have failed lately, and when the last did.
func (h *health) recent() (failures int, last time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failures, h.failedAt
}

// isFailing reports whether the exporter has failed too often.
func (h *health) isFailing() bool {
	failures, _ := h.recent()
	return failures >= maxFailures
}

// compare sorts the exporter first that has failed less, or longer ago.
func (h *health) compare(other *health) int {
	failures, last := h.recent()
	otherFailures, otherLast := other.recent()
	return cmp.Or(cmp.Compare(failures, otherFailures), last.Compare(otherLast))
}

// rest keeps the exporter from new batches while others take them.
func (h *health) rest(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := time.Now().Add(d); t.After(h.restUntil) {
		h.restUntil = t
	}
}

func (h *health) isResting() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Before(h.restUntil)
}
