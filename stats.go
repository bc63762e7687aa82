package asyncmetric

import (
	"time"

	"github.com/asyncmetric/asyncmetric/internal/observe"
	"github.com/asyncmetric/asyncmetric/queue"
)

// Stats describes an [Exporter] at one instant. All but Refused and Retries are
// taken together, so at any time
//
//	Accepted == Exported + Dropped + Coalesced + Queued
type Stats struct {
	// Accepted counts the data points that Export took.
	Accepted uint64
	// Exported counts the data points that the inner exporter delivered.
	Exported uint64
	// Dropped counts the data points that ended without being exported.
	Dropped uint64
	// Coalesced counts the data points that became part of another one on
	// overflow, so that their value is not lost.
	Coalesced uint64

	// Queued is the number of data points that are still to be delivered,
	// InFlight included.
	Queued int
	// InFlight is the number of data points in the collection, or with
	// WithMerging in the batch, that is being delivered, until all of it has
	// ended. While it is put to the test, further collections may be in flight.
	InFlight int
	// Bytes is how many bytes of memory, or of a disk, count against the bound of
	// the queue in bytes: those of what waits and, in memory, of what the queue
	// keeps for the next collections. Zero if the queue does not know.
	Bytes int64
	// Exemplars counts the exemplars, not data points, that the queue left out of
	// what waits because it was short of memory. Their data points stay.
	Exemplars uint64

	// Refused counts the data points for which Export returned an error: a full
	// queue under queue.DropNewest or queue.Block, a full disk, an exporter that has
	// been shut down. They are in no other counter.
	Refused uint64
	// Retries counts the attempts that repeated an earlier one.
	Retries uint64
	// QueuedCollections is the number of collections that are still to be
	// delivered, the one in flight included.
	QueuedCollections int
	// OldestAge is how long ago the oldest of them was accepted; zero if there
	// is none.
	OldestAge time.Duration
}

// Stats returns the counters and sizes of this instant. It does not wait for
// the inner exporter, also after Shutdown.
func (e *Exporter) Stats() Stats { return e.statsOf(e.queue.Stats()) }

func (e *Exporter) statsOf(q queue.Stats) Stats {
	return Stats{
		Accepted:          q.Accepted,
		Exported:          q.Exported,
		Dropped:           q.Dropped,
		Coalesced:         q.Coalesced,
		Queued:            q.Queued,
		InFlight:          q.InFlight,
		Bytes:             q.Bytes,
		Exemplars:         q.Exemplars,
		Refused:           e.refused.Load(),
		Retries:           e.worker.retries.Load(),
		QueuedCollections: q.Collections,
		OldestAge:         ageOf(q.Oldest),
	}
}

// state is what the metrics of the exporter show.
func (e *Exporter) state() observe.State {
	s, info := e.Stats(), e.queue.Info()
	return observe.State{
		InFlight:      s.InFlight,
		Queued:        s.Queued,
		Capacity:      info.MaxPoints,
		CountsBytes:   info.CountsBytes,
		Bytes:         s.Bytes,
		CapacityBytes: info.MaxBytes,
		OldestAge:     s.OldestAge,
		Coalesced:     s.Coalesced,
		Refused:       s.Refused,
		Exemplars:     s.Exemplars,
	}
}
