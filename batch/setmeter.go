package batch

import (
	"hash/maphash"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A SetMeter estimates the memory of attribute sets. A copy of a collection
// shares them with its source, so [Buffer.Bytes] does not count them. While the
// SDK keeps its sets, as with cumulative temporality, all collections share them,
// and they cost nothing for one more collection. But where sets are made anew for
// each collection, as with delta temporality, each copy keeps its own sets alive.
//
// A SetMeter remembers where the sets of recent collections are in memory, in 32
// KiB. It keeps no collection alive.
//
// The zero value is ready to use. Do not copy a SetMeter, and do not call its
// method concurrently.
type SetMeter struct{ seen recent }

// A SetMeter looks at up to about maxVisits data points of a collection, and from
// these takes a sample of between maxSample/2 and maxSample sets; fewer if
// there are fewer.
const (
	maxVisits = 1024
	maxSample = 64
)

// Unshared returns an estimate of how many bytes of attribute sets, with the
// strings and slices in them, the collection does not share with collections
// before it. Two sets are shared if they are the same memory: it does not suffice
// that they are equal. Sets that several data points of one collection share
// count once.
//
// The estimate is good on average over collections: that of one collection
// deviates by about a sixth. Collections may come from several sources in turns.
// Unshared remembers at least the last 50 collections, and more if they are
// small.
//
// Unshared does not change rm, which may be nil. Its time is bounded, however large rm is.
func (m *SetMeter) Unshared(rm *metricdata.ResourceMetrics) int {
	points := Points(rm)
	if points == 0 {
		return 0
	}
	halvings := 0
	for min(points, maxVisits)>>halvings > maxSample {
		halvings++
	}
	total := 0.0
	for i := range rm.ScopeMetrics {
		metrics := rm.ScopeMetrics[i].Metrics
		for j := range metrics {
			s := kindOf(metrics[j].Data).sets(metrics[j].Data)
			if s.n == 0 {
				continue
			}
			visits := s.n
			if points > maxVisits {
				// The first ones, so that a new series does not move all others.
				visits = int(float64(s.n)*maxVisits/float64(points)) + 1
			}
			total += float64(m.sample(s, visits, halvings)) * float64(s.n) / float64(visits)
		}
	}
	return int(total * float64(int(1)<<halvings))
}

// sample returns how many bytes are unshared in a sample of the first sets. With
// each halving the sample has half as many sets. The place of a set in memory
// decides if it is in the sample: so the sample of the next collection has the
// same sets if it shares them.
func (m *SetMeter) sample(s sets, visits, halvings int) int {
	const golden = 0x9E3779B97F4A7C15 // spreads the places
	limit := ^uint64(0) >> halvings
	n := 0
	for i := range visits {
		set := s.at(i)
		if p := addressOf(set); p*golden <= limit {
			n += m.unshared(p, set)
		}
	}
	return n
}

// unshared returns the size of a set in the given place, or zero if it was there
// before.
func (m *SetMeter) unshared(place uint64, set *attribute.Set) int {
	// The place may have been freed and be that of another set now.
	if m.seen.add(maphash.Comparable(seed, placed[attribute.Distinct]{place, set.Equivalent()})) {
		return 0
	}
	n := set.Len() * int(unsafe.Sizeof(attribute.KeyValue{}))
	for i := range set.Len() {
		attr, _ := set.Get(i)
		n += m.contents(attr.Value)
	}
	return n
}

// contents returns the size of what a value refers to. Applications share
// strings between sets: constants, for one.
func (m *SetMeter) contents(v attribute.Value) int {
	switch v.Type() {
	case attribute.EMPTY, attribute.BOOL, attribute.INT64, attribute.FLOAT64:
		return 0
	case attribute.STRING:
		s := v.AsString()
		place := uint64(uintptr(unsafe.Pointer(unsafe.StringData(s))))
		if m.seen.add(maphash.Comparable(seed, placed[string]{place, s})) {
			return 0
		}
		return roundedUp(len(s))
	case attribute.STRINGSLICE:
		n := 0
		for _, s := range v.AsStringSlice() {
			n += int(unsafe.Sizeof(s)) + roundedUp(len(s))
		}
		return n
	case attribute.BOOLSLICE:
		return len(v.AsBoolSlice())
	case attribute.INT64SLICE:
		return 8 * len(v.AsInt64Slice())
	case attribute.FLOAT64SLICE:
		return 8 * len(v.AsFloat64Slice())
	default:
		return len(v.String()) // the text is about as long
	}
}

// roundedUp returns how many bytes the heap takes for a string of n bytes. It
// packs tiny ones.
func roundedUp(n int) int {
	const tiny, class = 16, 16
	if n < tiny {
		return n
	}
	return (n + class - 1) / class * class
}

// placed is a content in a place in memory.
type placed[T comparable] struct {
	place   uint64
	content T
}

// recent remembers the hashes that were added last, in a fixed amount of memory:
// in each row the newest ones, the newest first.
type recent [512][16]uint32

// add reports whether a hash was added recently, and remembers it.
func (r *recent) add(hash uint64) bool {
	row := &r[hash%uint64(len(r))]
	mark := uint32(hash>>32) | 1 // not zero, which is an empty place
	at := 0
	for at < len(row)-1 && row[at] != mark {
		at++
	}
	known := row[at] == mark
	copy(row[1:at+1], row[:at])
	row[0] = mark
	return known
}
