package queue

import (
	"slices"

	"github.com/asyncmetric/asyncmetric/batch"
)

const (
	// maxSpare is how many buffers are kept for reuse. A reader whose
	// collections are delivered before the next one comes needs one, a slow
	// backend or a join a second and a third; the last is for a second reader,
	// if its collections are about as large.
	maxSpare = 4

	// maxSpareRatio is how many times larger than the newest collection a
	// buffer may be and still be kept, so that one extraordinary collection
	// does not occupy memory for ever.
	maxSpareRatio = 4
)

// spareBuffers keeps the memory of collections that have ended for the next
// ones.
type spareBuffers struct {
	buffers []*batch.Buffer
	points  int // in the newest collection
}

// get returns a buffer for a collection of so many points.
func (s *spareBuffers) get(points int) *batch.Buffer {
	s.points = points
	s.buffers = slices.DeleteFunc(s.buffers, s.tooLarge)
	n := len(s.buffers)
	if n == 0 {
		return new(batch.Buffer)
	}
	b := s.buffers[n-1]
	s.buffers[n-1] = nil
	s.buffers = s.buffers[:n-1]
	return b
}

// put takes a buffer that is no longer used.
func (s *spareBuffers) put(b *batch.Buffer) {
	if len(s.buffers) < maxSpare && !s.tooLarge(b) {
		s.buffers = append(s.buffers, b)
	}
}

// tooLarge compares what b holds with the newest collection, at as many bytes a
// data point as the content of b has.
func (s *spareBuffers) tooLarge(b *batch.Buffer) bool {
	return b.Bytes()*b.Points() > maxSpareRatio*s.points*b.Used()
}
