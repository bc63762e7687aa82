package integration

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Vitals are what must not grow, sampled at even intervals.
type vitals struct{ heap, goroutines, files samples }

type samples []uint64

// fewest is how many samples there are in a soak at least, and most how many at
// most.
const fewest, most = 8, 50

func (v *vitals) watch(ctx context.Context, s *soak) {
	for ctx.Err() == nil || len(v.heap) < fewest {
		pause(ctx, *soakTime/most)
		v.sample()
		for _, service := range s.services {
			for _, l := range service.lines {
				l.assertSteady()
			}
		}
	}
}

func (v *vitals) sample() {
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	v.heap = append(v.heap, memory.HeapAlloc)
	v.goroutines = append(v.goroutines, uint64(runtime.NumGoroutine()))
	files, _ := os.ReadDir("/proc/self/fd") // elsewhere than on Linux, there are none
	v.files = append(v.files, uint64(len(files)))
}

func (v *vitals) String() string {
	return fmt.Sprintf("heap %s bytes, %s goroutines, %s files", v.heap, v.goroutines, v.files)
}

// String returns how far the samples spread.
func (s samples) String() string {
	return fmt.Sprintf("%d to %d (%d, then %d)", slices.Min(s), slices.Max(s), s.settled(), s.final())
}

// settled is the least of the second quarter, and final of the last one. The
// least, because a backlog comes and goes, and a leak stays.
func (s samples) settled() uint64 { return slices.Min(s[len(s)/4 : len(s)/2]) }
func (s samples) final() uint64   { return slices.Min(s[len(s)*3/4:]) }

// assertFlat demands that the last quarter takes no more than the second, but for
// a quarter of that and a little: what backlogs and connections vary by. A leak of
// collections takes more within minutes.
func (v *vitals) assertFlat(t *testing.T) {
	t.Helper()
	v.heap.assertFlat(t, "heap", 32<<20)
	v.goroutines.assertFlat(t, "goroutines", 20)
	v.files.assertFlat(t, "files", 20)
}

func (s samples) assertFlat(t *testing.T, what string, little uint64) {
	t.Helper()
	assert.LessOrEqual(t, s.final(), s.settled()*5/4+little, "%s: %d", what, []uint64(s))
}
