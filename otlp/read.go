package otlp

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A reader goes through the fields of a message, as a bufio.Scanner does
// through lines: next finds a field, and fails for good where there is none. It
// checks all that a schema says, so that who calls it has nothing to check.
type reader struct {
	schema *schema
	b      []byte
	base   int // where b begins in the input
	pos    int // where in b the next field begins
	err    *DecodeError

	// The current field.
	num protowire.Number
	typ protowire.Type
	at  int    // where in b it begins
	val uint64 // its value, if that is a number
	raw []byte // its value, if not
}

// next goes to the next field that the schema has. It returns false at the end
// of the message, and if there is an error.
func (r *reader) next() bool {
	for r.err == nil && r.pos < len(r.b) {
		r.at = r.pos
		if !r.tag() {
			return false
		}
		s := r.schema.of(r.num)
		if s.wire == unknown {
			r.skip()
			continue
		}
		return r.value(s)
	}
	return false
}

// tag reads the number and the type of a field.
func (r *reader) tag() bool {
	num, typ, n := protowire.ConsumeTag(r.b[r.pos:])
	r.num, r.typ = num, typ
	if n >= 0 && !num.IsValid() {
		r.num = 0
		return r.fail(errNumber)
	}
	return r.advance(n)
}

// skip passes over a field that the schema does not have.
func (r *reader) skip() {
	r.advance(protowire.ConsumeFieldValue(r.num, r.typ, r.b[r.pos:]))
}

// value reads the value of a field.
func (r *reader) value(s spec) bool {
	if r.typ != s.wire.typ() {
		if typ, ok := s.wire.element(); !ok || r.typ != typ {
			return r.fail(fmt.Errorf("wire type %d instead of %d", r.typ, s.wire.typ()))
		}
	}
	var n int
	switch r.typ {
	case protowire.VarintType:
		r.val, n = protowire.ConsumeVarint(r.b[r.pos:])
	case protowire.Fixed64Type:
		r.val, n = protowire.ConsumeFixed64(r.b[r.pos:])
	default:
		r.raw, n = protowire.ConsumeBytes(r.b[r.pos:])
	}
	if !r.advance(n) {
		return false
	}
	switch {
	case s.wire == text && !utf8.Valid(r.raw):
		return r.fail(ErrUTF8)
	case s.wire == packedFixed64 && r.typ == protowire.BytesType && len(r.raw)%8 != 0:
		return r.fail(errPacked)
	}
	return true
}

// advance goes on by n bytes; a negative n is an error of protowire.
func (r *reader) advance(n int) bool {
	if n < 0 {
		return r.fail(protowire.ParseError(n))
	}
	r.pos += n
	return true
}

// fail ends the reading, because of what the current field is. It returns false.
func (r *reader) fail(err error) bool {
	r.err = &DecodeError{Offset: r.base + r.at, Path: r.schema.of(r.num).name, Err: err}
	return false
}

// nest ends the reading if there is an error in the message in the current
// field.
func (r *reader) nest(err *DecodeError) {
	if err != nil {
		r.err = err.within(r.schema.of(r.num).name)
	}
}

// nestAt is nest for the message i of a repeated field.
func (r *reader) nestAt(err *DecodeError, i int) {
	if err != nil {
		r.err = err.within(fmt.Sprintf("%s[%d]", r.schema.of(r.num).name, i))
	}
}

// sub returns a reader of the message in the current field.
func (r *reader) sub(s *schema) reader {
	return reader{schema: s, b: r.raw, base: r.rawBase()}
}

// rawBase returns where in the input raw begins.
func (r *reader) rawBase() int { return r.base + r.pos - len(r.raw) }

// count returns how often the current field occurs from here on.
func (r *reader) count() int {
	n := 1
	for b := r.b[r.pos:]; len(b) > 0; {
		num, _, size := protowire.ConsumeField(b)
		if size < 0 {
			return n
		}
		if num == r.num {
			n++
		}
		b = b[size:]
	}
	return n
}

// isPacked reports whether the current field has all the elements in raw, and
// not one in val.
func (r *reader) isPacked() bool { return r.typ == protowire.BytesType }

// A part is a message that may come in several fields, which count together:
// that is what protobuf says of one that is not repeated.
type part struct {
	b    []byte
	base int
	set  bool
}

// join adds the current field to p.
func (r *reader) join(p *part) {
	if !p.set {
		*p = part{slices.Clip(r.raw), r.rawBase(), true}
		return
	}
	p.base = r.rawBase() - len(p.b)
	p.b = append(p.b, r.raw...)
}

// reader returns a reader of all of p.
func (p *part) reader(s *schema) reader { return reader{schema: s, b: p.b, base: p.base} }

var (
	errNumber = errors.New("invalid field number")
	errPacked = errors.New("length is not a multiple of 8")
)
