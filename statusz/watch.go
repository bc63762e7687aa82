package statusz

import (
	"sync"
	"time"

	"github.com/asyncmetric/asyncmetric"
)

// source is what the page needs of an Exporter.
type source interface{ Status() asyncmetric.Status }

// watch looks at one exporter and remembers what it saw.
type watch struct {
	source source

	mu      sync.Mutex
	history history
}

// look returns what the exporter is doing, and takes a sample if one is due.
// The queue of the exporter may be anyone's code: nothing is locked while it
// is asked.
func (w *watch) look() exporter {
	now := time.Now()
	status := w.source.Status()

	w.mu.Lock()
	defer w.mu.Unlock()
	w.history.add(sample{now, countersOf(status.Stats)})
	return newExporter(now, status, &w.history)
}
