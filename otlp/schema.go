package otlp

import "google.golang.org/protobuf/encoding/protowire"

// A wire is how the value of a field is encoded.
type wire uint8

const (
	unknown       wire = iota // not a field that this package knows
	varint                    // bool, enum, and integers of no fixed size
	fixed64                   // double, fixed64 and sfixed64
	text                      // string
	blob                      // bytes
	message                   // a message, with a schema of its own
	packedVarint              // repeated varint, packed into one field or not
	packedFixed64             // repeated fixed64, packed into one field or not
)

// typ returns the type that the encoding is written with.
func (w wire) typ() protowire.Type {
	switch w {
	case varint:
		return protowire.VarintType
	case fixed64:
		return protowire.Fixed64Type
	default:
		return protowire.BytesType
	}
}

// element returns the type that the elements of a packed field have where they
// are not packed.
func (w wire) element() (typ protowire.Type, ok bool) {
	switch w {
	case packedVarint:
		return protowire.VarintType, true
	case packedFixed64:
		return protowire.Fixed64Type, true
	default:
		return 0, false
	}
}

// A spec says what a field is called and how it is encoded.
type spec struct {
	name string
	wire wire
}

// A schema has the fields of a message by their numbers, which are all below
// 16 in OTLP.
type schema [16]spec

// of returns the specification of the field num; the zero one for a field that
// the schema does not have.
func (s *schema) of(num protowire.Number) spec {
	if num < 0 || int(num) >= len(s) {
		return spec{}
	}
	return s[num]
}
