package batch

// What becomes of an older data point, unless it goes in front of newer ones.
const (
	absent = -1 // no newer point is of its series
	joined = -2 // it is part of a newer point
	stays  = -3 // it stays in its metric; see conflict.go
)

// A pairing finds the data points that may be joined: the last older point of a
// series with the first newer one, and no others. A series occurs more than once
// if its points could not be joined. The points are in order of time, so only
// these two follow each other. The memory of a pairing serves one pair of lists
// after the other.
type pairing[K comparable] struct {
	table[K]
	home    []int32 // for each older point the first newer one of its series, or absent, or joined
	partner []int32 // for each newer point the older one that it may be joined with, or -1
	before  []int32 // for each newer point the older one before its partner, or -1; nil if there are none

	paired, left int // how many older points have a partner, or are absent
}

func (p *pairing[K]) pair(older, newer int, olderKey, newerKey func(int) K) {
	p.index(newer, newerKey)
	p.home = resized(p.home, older)
	p.partner = none(p.partner, newer)
	p.before = p.before[:0]
	p.paired, p.left = 0, 0
	for i := older - 1; i >= 0; i-- {
		j := p.find(olderKey(i), newerKey)
		p.home[i] = j
		switch {
		case j < 0:
			p.left++
		case p.partner[j] < 0:
			p.partner[j] = int32(i)
			p.paired++
		default:
			p.precede(i, j)
		}
	}
}

// precede notes that the older point i comes before the partner of j.
func (p *pairing[K]) precede(i int, j int32) {
	if len(p.before) == 0 {
		p.before = none(p.before, len(p.partner))
	}
	if p.before[j] < 0 {
		p.before[j] = int32(i)
	}
}

// predecessor returns the older point before the partner of j, or -1.
func (p *pairing[K]) predecessor(j int) int32 {
	if len(p.before) == 0 {
		return -1
	}
	return p.before[j]
}
