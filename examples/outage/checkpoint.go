package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/asyncmetric/asyncmetric"
)

// checkpoint is the state of the pipeline at one moment of a long outage.
type checkpoint struct {
	Outage        time.Duration `json:"outage_ns"` // simulated time since it began
	Collections   int           `json:"collections"`
	Waiting       int           `json:"waiting_collections"` // without the one that is being tried
	WaitingPoints int           `json:"waiting_points"`
	HeapBytes     uint64        `json:"heap_bytes"` // after a garbage collection
	Resolution    float64       `json:"resolution"` // intervals in a waiting collection, on average
}

// newCheckpoint describes a pipeline with these stats, for which so many
// collections have been made.
func newCheckpoint(made int, stats asyncmetric.Stats, heap uint64) checkpoint {
	c := checkpoint{
		Outage:        time.Duration(made) * step,
		Collections:   made,
		Waiting:       stats.QueuedCollections,
		WaitingPoints: waitingPoints(stats),
		HeapBytes:     heap,
	}
	merged := made
	if stats.InFlight > 0 { // it is the first collection that was made, and stays as it is
		c.Waiting--
		merged--
	}
	c.Resolution = float64(merged) / float64(max(1, c.Waiting))
	return c
}

// waitingPoints leaves out what is being delivered, which comes on top of the
// bound of the queue.
func waitingPoints(stats asyncmetric.Stats) int { return stats.Queued - stats.InFlight }

// heapInUse returns how much memory is alive.
func heapInUse() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// checkpoints writes each checkpoint as a line.
type checkpoints struct {
	out io.Writer
	all []checkpoint
}

// newCheckpoints writes what stands above the lines.
func newCheckpoints(out io.Writer) *checkpoints {
	fmt.Fprintf(out, "simulated outage with a collection every %s; the queue has room for %d of them, %s points\n\n",
		clock(step), room, grouped(maxQueuePoints))
	c := &checkpoints{out: out}
	c.row("outage", "collections", "waiting", "points", "of bound", "heap", "resolution, on average")
	return c
}

func (c *checkpoints) add(made int, stats asyncmetric.Stats) {
	now := newCheckpoint(made, stats, heapInUse())
	c.all = append(c.all, now)
	c.row(
		clock(now.Outage),
		grouped(now.Collections),
		grouped(now.Waiting),
		grouped(now.WaitingPoints),
		fmt.Sprintf("%.0f%%", 100*float64(now.WaitingPoints)/maxQueuePoints),
		fmt.Sprintf("%.1f MB", float64(now.HeapBytes)/1e6),
		now.span(),
	)
}

func (c *checkpoints) row(outage, collections, waiting, points, share, heap, span string) {
	fmt.Fprintf(c.out, "%-8s %12s %8s %8s %9s %8s   %s\n", outage, collections, waiting, points, share, heap, span)
}

// span says how much time one waiting collection stands for.
func (c checkpoint) span() string {
	intervals, unit := math.Round(10*c.Resolution)/10, "intervals"
	if intervals == 1 {
		unit = "interval"
	}
	return fmt.Sprintf("1 collection = %v %s = %s", intervals, unit, clock(time.Duration(intervals*float64(step))))
}
