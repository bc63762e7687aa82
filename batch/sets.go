package batch

import (
	"hash/maphash"
	"reflect"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// sets are the attribute sets of consecutive data points. One loop over them
// serves all types of points, without a call for each point.
type sets struct {
	first  *attribute.Set
	stride uintptr // bytes from one to the next
	n      int
}

func (k *aggregation[A, P]) sets(data metricdata.Aggregation) sets {
	points := k.get(data.(A))
	if len(points) == 0 {
		return sets{}
	}
	return sets{k.attributes(&points[0]), unsafe.Sizeof(points[0]), len(points)}
}

func (opaque) sets(metricdata.Aggregation) sets { return sets{} }

func (s sets) at(i int) *attribute.Set {
	return (*attribute.Set)(unsafe.Add(unsafe.Pointer(s.first), uintptr(i)*s.stride))
}

// dataOffset is where in an attribute.Set the pointer to its attributes is, or
// -1 if this package does not know the layout of the type.
var dataOffset = findDataOffset(reflect.TypeFor[attribute.Set]())

// findDataOffset returns the offset of the data pointer of the only interface in
// the struct t. A Set keeps its attributes in an array in such an interface.
func findDataOffset(t reflect.Type) int {
	const unknown = -1
	if t.Kind() != reflect.Struct {
		return unknown
	}
	found := unknown
	for i := range t.NumField() {
		f := t.Field(i)
		if isNumber(f.Type) {
			continue
		}
		if f.Type != reflect.TypeFor[any]() || found != unknown {
			return unknown
		}
		found = int(f.Offset + unsafe.Sizeof(uintptr(0))) // behind the word for the type
	}
	return found
}

func isNumber(t reflect.Type) bool { return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128 }

// addressOf returns what identifies the memory that a set has its attributes in: its
// address, or a hash of the attributes if the layout of the type is unknown. It
// keeps nothing alive.
func addressOf(set *attribute.Set) uint64 {
	if dataOffset < 0 {
		return hashOf(set)
	}
	return uint64(*(*uintptr)(unsafe.Add(unsafe.Pointer(set), dataOffset)))
}

func hashOf(set *attribute.Set) uint64 { return maphash.Comparable(seed, set.Equivalent()) }
