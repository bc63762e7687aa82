package batch

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// header is what an aggregation says about all its data points.
type header struct {
	temporality metricdata.Temporality
	monotonic   bool
}

func (h header) cumulative() bool { return h.temporality == metricdata.CumulativeTemporality }

// aggregation implements kind for an aggregation A with data points of type P.
// The fields are what differs between the kinds, the methods what does not.
type aggregation[A metricdata.Aggregation, P any] struct {
	get    func(A) []P             // returns the data points of A
	with   func(A, []P) A          // returns A with other data points
	head   func(A) header          // returns what A says about all of them
	arena  func(*Buffer) *arena[P] // returns the memory for copies of P
	detach func(*Buffer, []P)      // see detach.go
	needs  func(*need, []P)        // adds what copies of the points take, see need.go
	bare   func([]P)               // removes the exemplars, see exemplars.go

	attributes func(*P) *attribute.Set
	join       func(b *Buffer, h header, dst, older, newer *P) bool // see join.go
	resets     func(h header, older, newer *P) bool                 // whether a series was reset without a new start
}

func (k *aggregation[A, P]) points(data metricdata.Aggregation) int {
	return len(k.get(data.(A)))
}

func (k *aggregation[A, P]) header(data metricdata.Aggregation) header { return k.head(data.(A)) }

func (k *aggregation[A, P]) copy(b *Buffer, old, data metricdata.Aggregation, from, to int) metricdata.Aggregation {
	src := data.(A)
	points := k.arena(b).clone(k.get(src)[from:to])
	k.detach(b, points)
	return k.box(old, src, points)
}

func (k *aggregation[A, P]) concat(
	b *Buffer, old metricdata.Aggregation, src []*metricdata.Metrics,
) (metricdata.Aggregation, int) {
	n := 0
	for _, m := range src {
		n += len(k.get(m.Data.(A)))
	}
	points := k.arena(b).take(n)
	rest := points
	for _, m := range src {
		rest = rest[copy(rest, k.get(m.Data.(A))):]
	}
	k.detach(b, points)
	return k.box(old, src[len(src)-1].Data.(A), points), n
}

func (k *aggregation[A, P]) fold(
	b *Buffer, pairs *pairing[attribute.Distinct], old, older, newer metricdata.Aggregation, together bool,
) (data metricdata.Aggregation, points, rest int) {
	src := newer.(A)
	folded := k.foldPoints(b, pairs, k.head(src), k.get(older.(A)), k.get(src), together)
	if !together {
		rest = pairs.left
	}
	return k.box(old, src, folded), len(folded), rest
}

// foldPoints returns the points of newer, each joined with the older point of
// its series if possible, and in front of them the older points that stay.
func (k *aggregation[A, P]) foldPoints(
	b *Buffer, pairs *pairing[attribute.Distinct], h header, older, newer []P, together bool,
) []P {
	pairs.pair(len(older), len(newer),
		func(i int) attribute.Distinct { return k.attributes(&older[i]).Equivalent() },
		func(j int) attribute.Distinct { return k.attributes(&newer[j]).Equivalent() })
	front := len(older) - pairs.paired
	if !together {
		front -= pairs.left
	}
	dst := k.arena(b).take(front + len(newer))
	if apart := k.joinPoints(b, pairs, h, dst[front:], older, newer); apart > 0 {
		dst = k.arena(b).grow(dst, apart)
		copy(dst[front+apart:], dst[front:])
		front += apart
	}
	k.fill(b, dst[:front], older, pairs.home, func(home int32) bool { return home >= 0 || together && home == absent })
	return dst
}

// joinPoints makes dst the points of newer, joined with their partners where
// possible. It returns how many partners stay apart.
func (k *aggregation[A, P]) joinPoints(
	b *Buffer, pairs *pairing[attribute.Distinct], h header, dst, older, newer []P,
) (apart int) {
	copied := 0 // newer[:copied] is done
	for j, i := range pairs.partner {
		if i < 0 {
			continue
		}
		if !k.joinPair(b, pairs, h, &dst[j], older, newer, int(i), j) {
			apart++
			continue
		}
		pairs.home[i] = joined
		k.copyPoints(b, dst[copied:j], newer[copied:j])
		copied = j + 1
	}
	k.copyPoints(b, dst[copied:], newer[copied:])
	return apart
}

func (k *aggregation[A, P]) joinPair(
	b *Buffer, pairs *pairing[attribute.Distinct], h header, dst *P, older, newer []P, i, j int,
) bool {
	// The first point after a reset stays. Without it, a newer point that has
	// grown beyond the one before the reset would hide it.
	if before := pairs.predecessor(j); before >= 0 && k.resets(h, &older[before], &older[i]) {
		return false
	}
	// A Distinct is a hash: it may be the same for different attributes.
	return k.attributes(&older[i]).Equals(k.attributes(&newer[j])) && k.join(b, h, dst, &older[i], &newer[j])
}

// copyPoints makes dst a copy of src.
func (k *aggregation[A, P]) copyPoints(b *Buffer, dst, src []P) {
	if len(src) > 0 {
		copy(dst, src)
		k.detach(b, dst)
	}
}

// fill makes dst a copy of those points of src whose home is wanted.
func (k *aggregation[A, P]) fill(b *Buffer, dst, src []P, home []int32, wanted func(int32) bool) {
	if len(dst) == 0 {
		return
	}
	n := 0
	for i := range src {
		if wanted(home[i]) {
			dst[n] = src[i]
			n++
		}
	}
	k.detach(b, dst)
}

func (k *aggregation[A, P]) leave(
	b *Buffer, pairs *pairing[attribute.Distinct], old, older metricdata.Aggregation,
) metricdata.Aggregation {
	src := older.(A)
	points := k.arena(b).take(pairs.left)
	k.fill(b, points, k.get(src), pairs.home, func(home int32) bool { return home == absent })
	return k.box(old, src, points)
}

func (k *aggregation[A, P]) repeats(pairs *pairing[attribute.Distinct], data metricdata.Aggregation) bool {
	points := k.get(data.(A))
	return pairs.repeats(len(points), func(i int) attribute.Distinct {
		return k.attributes(&points[i]).Equivalent()
	})
}

// box returns src with the given points, or old if that is equal.
func (k *aggregation[A, P]) box(old metricdata.Aggregation, src A, points []P) metricdata.Aggregation {
	if was, ok := old.(A); ok && k.head(was) == k.head(src) && sameSlice(k.get(was), points) {
		return old
	}
	return k.with(src, points)
}

// sameSlice reports whether a and b are the same elements in the same place.
func sameSlice[P any](a, b []P) bool {
	return len(a) == len(b) && cap(a) == cap(b) && len(a) > 0 && &a[0] == &b[0]
}

// opaque implements kind for aggregations whose content this package does not
// know. It passes them on as they are, and counts each as size data points.
type opaque struct{ size int }

func (k opaque) points(metricdata.Aggregation) int { return k.size }

func (opaque) header(metricdata.Aggregation) header { return header{} }

func (opaque) copy(_ *Buffer, _, data metricdata.Aggregation, _, _ int) metricdata.Aggregation {
	return data
}

// concat is called for missing data only: each metric of an unknown kind is a
// stream of its own.
func (opaque) concat(*Buffer, metricdata.Aggregation, []*metricdata.Metrics) (metricdata.Aggregation, int) {
	return nil, 0
}

// fold, too, is called for missing data only, and so are resolve and compose.
// There is nothing to leave.
func (opaque) fold(
	*Buffer, *pairing[attribute.Distinct], metricdata.Aggregation, metricdata.Aggregation, metricdata.Aggregation, bool,
) (data metricdata.Aggregation, points, rest int) {
	return nil, 0, 0
}

func (opaque) leave(
	*Buffer, *pairing[attribute.Distinct], metricdata.Aggregation, metricdata.Aggregation,
) metricdata.Aggregation {
	return nil
}

func (opaque) resolve(c *conflict) { c.begin(func(*metricdata.Metrics) int { return 0 }) }

func (opaque) compose(*Buffer, metricdata.Aggregation, metricdata.Aggregation, []part) metricdata.Aggregation {
	return nil
}

func (opaque) repeats(*pairing[attribute.Distinct], metricdata.Aggregation) bool { return false }
