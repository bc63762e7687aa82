package measure

import (
	"runtime"
	"syscall"
	"time"
)

// usage is what the process has used so far.
type usage struct {
	at                 time.Time
	elapsed, cpu       time.Duration
	bytes, allocations float64
}

func readUsage() usage {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails only for a bad argument
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{
		at:          time.Now(),
		cpu:         time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		bytes:       float64(m.TotalAlloc),
		allocations: float64(m.Mallocs),
	}
}

func (u usage) since(before usage) usage {
	return usage{
		elapsed:     u.at.Sub(before.at),
		cpu:         u.cpu - before.cpu,
		bytes:       u.bytes - before.bytes,
		allocations: u.allocations - before.allocations,
	}
}

// heapInUse returns the bytes of what can be reached.
func heapInUse() float64 {
	// What is freed by finalizers and what pools keep goes with the second one.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
