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

// aggregation implements kind for an aggregation A with data points of type P.
// The fields are what differs between the kinds, the methods what does not.
type aggregation[A metricdata.Aggregation, P any] struct {
	get    func(A) []P             // returns the data points of A
	with   func(A, []P) A          // returns A with other data points
	head   func(A) header          // returns what A says about all of them
	arena  func(*Buffer) *arena[P] // returns the memory for copies of P
	detach func(*Buffer, []P)      // see detach.go

	attributes func(*P) *attribute.Set
	join       func(b *Buffer, t metricdata.Temporality, dst, older, newer *P) bool // see join.go
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

func (k *aggregation[A, P]) coalesce(
	b *Buffer, pairs *pairing[attribute.Distinct], old, older, newer metricdata.Aggregation,
) (metricdata.Aggregation, int) {
	src := newer.(A)
	points := k.coalescePoints(b, pairs, k.head(src).temporality, k.get(older.(A)), k.get(src))
	return k.box(old, src, points), len(points)
}

// coalescePoints returns the points of older, each joined with the newer point
// of the same series if possible, and behind them the rest of newer.
func (k *aggregation[A, P]) coalescePoints(
	b *Buffer, pairs *pairing[attribute.Distinct], t metricdata.Temporality, older, newer []P,
) []P {
	pairs.pairNeighbours(len(older), len(newer),
		func(i int) attribute.Distinct { return k.attributes(&older[i]).Equivalent() },
		func(j int) attribute.Distinct { return k.attributes(&newer[j]).Equivalent() })
	dst := k.arena(b).take(len(older) + pairs.rest)
	apart := 0
	for i := range older {
		if j := pairs.partner[i]; j >= 0 {
			// A Distinct is a hash: it may be the same for different attributes.
			if k.attributes(&older[i]).Equals(k.attributes(&newer[j])) && k.join(b, t, &dst[i], &older[i], &newer[j]) {
				continue
			}
			pairs.partnerOfNewer[j] = -1
			apart++
		}
		dst[i] = older[i]
		k.detach(b, dst[i:i+1])
	}
	if apart > 0 {
		dst = k.arena(b).grow(dst, apart)
	}
	rest := dst[len(older):len(older)]
	for j := range newer {
		if pairs.partnerOfNewer[j] < 0 {
			rest = append(rest, newer[j])
		}
	}
	k.detach(b, rest)
	return dst
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

// coalesce, too, is called for missing data only.
func (opaque) coalesce(
	*Buffer, *pairing[attribute.Distinct], metricdata.Aggregation, metricdata.Aggregation, metricdata.Aggregation,
) (metricdata.Aggregation, int) {
	return nil, 0
}

func (opaque) repeats(*pairing[attribute.Distinct], metricdata.Aggregation) bool { return false }
