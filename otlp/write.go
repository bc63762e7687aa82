package otlp

import (
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// A writer appends fields to b. It writes what is in a message before it knows
// the length in front of it, so that nothing has to be looked at twice: the
// message leaves room for the length, and moves if that was not the right room.
type writer struct{ b []byte }

// How many bytes to leave for the length of a message.
const (
	narrow = 1 // up to 127 bytes
	middle = 2 // up to 16 KiB
	wide   = 3 // up to 2 MiB
)

// A mark says where a message begins.
type mark struct {
	start int // of its content
	width int // of its length, in front of the content
}

// appendTag appends what is in front of a field. It is one byte, because all
// numbers are below 16; see schema.
func appendTag(b []byte, num protowire.Number, typ protowire.Type) []byte {
	return append(b, byte(protowire.EncodeTag(num, typ)))
}

// open begins a message in the field num, with so much room for its length.
func (w *writer) open(num protowire.Number, width int) mark {
	w.b = appendTag(w.b, num, protowire.BytesType)
	w.b = append(w.b, "\x00\x00\x00"[:width]...)
	return mark{len(w.b), width}
}

// close ends the message.
func (w *writer) close(m mark) {
	size := len(w.b) - m.start
	if size < 1<<7 && m.width == narrow {
		w.b[m.start-1] = byte(size)
		return
	}
	room := m.start - m.width
	width := protowire.SizeVarint(uint64(size))
	if width > m.width {
		w.b = append(w.b, "0123456789"[:width-m.width]...)
	}
	copy(w.b[room+width:], w.b[m.start:m.start+size])
	w.b = w.b[:room+width+size]
	protowire.AppendVarint(w.b[:room], uint64(size))
}

// alwaysVarint, and what else begins so, writes a field even if it is zero.
func (w *writer) alwaysVarint(num protowire.Number, v uint64) {
	w.b = appendTag(w.b, num, protowire.VarintType)
	w.b = protowire.AppendVarint(w.b, v)
}

func (w *writer) alwaysFixed64(num protowire.Number, v uint64) {
	w.b = binary.LittleEndian.AppendUint64(appendTag(w.b, num, protowire.Fixed64Type), v)
}

func (w *writer) alwaysDouble(num protowire.Number, v float64) {
	w.alwaysFixed64(num, math.Float64bits(v))
}

// The fields below are left out if they are zero, as the default is in
// protobuf. A negative zero is not zero.

func (w *writer) varint(num protowire.Number, v uint64) {
	if v != 0 {
		w.alwaysVarint(num, v)
	}
}

func (w *writer) zigzag(num protowire.Number, v int32) {
	w.varint(num, protowire.EncodeZigZag(int64(v)))
}

func (w *writer) fixed64(num protowire.Number, v uint64) {
	if v != 0 {
		w.alwaysFixed64(num, v)
	}
}

func (w *writer) double(num protowire.Number, v float64) { w.fixed64(num, math.Float64bits(v)) }

func (w *writer) bytes(num protowire.Number, v []byte) {
	if len(v) > 0 {
		w.b = appendTag(w.b, num, protowire.BytesType)
		w.b = protowire.AppendBytes(w.b, v)
	}
}

// alwaysString writes s, which has to be valid UTF-8.
func (w *writer) alwaysString(num protowire.Number, s string) {
	w.b = appendTag(w.b, num, protowire.BytesType)
	w.b = protowire.AppendString(w.b, s)
}

// Packed fields: all elements in one field.

func (w *writer) packedVarints(num protowire.Number, values []uint64) {
	if len(values) == 0 {
		return
	}
	m := w.open(num, narrow)
	for _, v := range values {
		w.b = protowire.AppendVarint(w.b, v)
	}
	w.close(m)
}

func (w *writer) packedFixed64s(num protowire.Number, values []uint64) {
	if len(values) == 0 {
		return
	}
	b := w.openFixed64s(num, len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	w.b = b
}

func (w *writer) packedDoubles(num protowire.Number, values []float64) {
	if len(values) == 0 {
		return
	}
	b := w.openFixed64s(num, len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	w.b = b
}

// openFixed64s begins a packed field of n elements and returns the bytes to
// append them to.
func (w *writer) openFixed64s(num protowire.Number, n int) []byte {
	b := appendTag(w.b, num, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(n)*8)
	return slices.Grow(b, n*8)
}
