package queue

import (
	"slices"

	"github.com/asyncmetric/asyncmetric/batch"
)

const (
	// maxFree is how many buffers are kept for reuse. A reader whose collections
	// are delivered before the next one comes needs one. More are for bursts: of
	// several readers, or where the SDK hands over a collection in pieces.
	maxFree = 64

	// freeAfter is how many Puts have to leave a free buffer unused before its
	// memory is given back.
	freeAfter = 16

	// maxFreeRatio is how many times more memory a free buffer may have than the
	// newest collections needed.
	maxFreeRatio = 4
)

// A freeList keeps the buffers of collections that have ended for the next
// ones. What was used last is used first: it is most likely in the processor's
// cache, and the first of the list is what was needed least.
type freeList struct {
	buffers []freeBuffer
	bytes   int    // of the buffers
	need    int    // bytes that the newest collections need: see filled
	clock   uint64 // counts Puts, see tick
	burst   bool   // nothing has become free since a buffer was taken
}

// A freeBuffer is a buffer in a [freeList].
type freeBuffer struct {
	*batch.Buffer
	bytes int
	since uint64 // the clock when it became free
}

// tick counts a Put, and frees what the last ones did not need. In a burst only
// the first Put counts: those that follow may still need what is there. A Put
// that brings no points needs nothing and counts always.
func (f *freeList) tick(points int) {
	if f.burst && points > 0 {
		return
	}
	f.clock++
	n := 0
	for n < len(f.buffers) && f.clock-f.buffers[n].since >= freeAfter {
		n++
	}
	f.drop(n)
}

// get returns a buffer for a collection that takes the given number of bytes, and
// reports whether it has been used before: of those that are not much too large
// it is the one that became free last. Where all are too small it is one of
// them, which grows.
func (f *freeList) get(bytes int) (b *batch.Buffer, used bool) {
	f.burst = true
	best := -1
	for i, b := range slices.Backward(f.buffers) {
		if b.bytes > roomy(bytes) {
			continue
		}
		if best < 0 || b.bytes >= bytes {
			best = i
		}
		if b.bytes >= bytes {
			break
		}
	}
	if best < 0 {
		return new(batch.Buffer), false
	}
	b = f.buffers[best].Buffer
	f.bytes -= f.buffers[best].bytes
	f.buffers = slices.Delete(f.buffers, best, best+1)
	return b, true
}

// filled notes how much memory the newest collection needs: b holds it. One in
// eight of that is forgotten with each collection that needs less.
func (f *freeList) filled(b *batch.Buffer) {
	f.need = max(b.Used(), f.need-f.need/8)
	f.buffers = slices.DeleteFunc(f.buffers, func(b freeBuffer) bool {
		large := f.tooLarge(b.bytes)
		if large {
			f.bytes -= b.bytes
		}
		return large
	})
}

func (f *freeList) tooLarge(bytes int) bool { return bytes > maxFreeRatio*f.need }

// put takes a buffer that is no longer used.
func (f *freeList) put(b *batch.Buffer) {
	f.burst = false
	bytes := b.Bytes()
	if len(f.buffers) == maxFree || f.tooLarge(bytes) {
		return
	}
	f.bytes += bytes
	f.buffers = append(f.buffers, freeBuffer{b, bytes, f.clock})
}

// trim frees buffers, those first that have been free for longest, until those
// that stay take no more than the given number of bytes.
func (f *freeList) trim(bytes int) {
	n := 0
	for left := f.bytes; left > bytes && n < len(f.buffers); n++ {
		left -= f.buffers[n].bytes
	}
	f.drop(n)
}

// drop frees the first n buffers.
func (f *freeList) drop(n int) {
	for _, b := range f.buffers[:n] {
		f.bytes -= b.bytes
	}
	f.buffers = slices.Delete(f.buffers, 0, n)
}

// roomy returns how much memory a buffer may have for a content that needs n. A
// [batch.Buffer] leaves an eighth for series that are still to come.
func roomy(n int) int { return n + n/4 }
