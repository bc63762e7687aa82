package asyncmetric

import "slices"

// sizes learns how many data points a request may have, from requests that are
// refused as too large. The lock of inflight protects it.
//
// A refusal is explained by a data point that is refused alone: that, and not the
// number of points, is why the batches were too large that it was a part of. Such
// refusals teach nothing.
type sizes struct {
	most     int        // by configuration; 0 for no limit
	learnt   int        // from earlier collections; 0 for no limit
	refusals []*refusal // of what is in flight, not explained, the smallest last
	proven   int        // what the limit was before it was raised; 0 if it was not
	full     int        // how many batches as large as the limit got through since
	patience int        // how many must, before the limit is raised
}

const (
	// A limit is raised by the share 1/growth when that many full batches have got
	// through. Where that was too much, it takes twice as many the next time.
	growth, leastPatience, mostPatience = 8, 32, 1024
)

// A refusal is a batch that was too large.
type refusal struct {
	points int
	of     *refusal // the refusal of what it is a part of
}

// limit returns how many points a batch may have; 0 for no limit.
func (s *sizes) limit() int {
	if n := len(s.refusals); n > 0 {
		return (s.refusals[n-1].points + 1) / 2
	}
	return s.learnt
}

// atMost returns the smaller limit of two; 0 is none.
func atMost(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// refused learns from a batch of n points that was too large. Of is the last refusal
// of what it was a part of, and refused returns that of its own parts. A single
// point explains the refusals of what it was a part of.
func (s *sizes) refused(n int, of *refusal) *refusal {
	if n == 1 {
		s.explain(of)
		return of
	}
	s.full = 0
	if s.proven > 0 && s.proven < n && len(s.refusals) == 0 {
		s.learnt, s.proven = s.proven, 0
		s.patience = min(2*max(s.patience, leastPatience), mostPatience)
		return of
	}
	r := &refusal{points: n, of: of}
	if limit := s.limit(); limit == 0 || n <= limit {
		s.refusals = append(s.refusals, r)
		s.proven, s.patience = 0, leastPatience
	}
	return r
}

// explain forgets refusals.
func (s *sizes) explain(r *refusal) {
	for ; r != nil; r = r.of {
		if i := slices.Index(s.refusals, r); i >= 0 {
			s.refusals = slices.Delete(s.refusals, i, i+1)
		}
	}
}

// exported learns from a batch that got through.
func (s *sizes) exported(points int) {
	if limit := s.limit(); limit == 0 || points != limit {
		return
	}
	if s.full++; s.full < max(s.patience, leastPatience) {
		return
	}
	if s.proven > 0 { // the last raise was right
		s.patience = leastPatience
	}
	s.settle()
	s.proven, s.full = s.learnt, 0
	s.learnt += max(1, s.learnt/growth)
	if s.most > 0 && s.learnt >= s.most {
		s.learnt = 0
	}
}

// settle keeps what has been learnt when what is in flight has ended.
func (s *sizes) settle() { s.learnt, s.refusals = s.limit(), nil }
