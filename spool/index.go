package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// An index is what the file says of a record beside it, so that a queue can be
// opened without reading the records. Its layout is
//
//	1 byte   version, that of the frame of the record
//	8 bytes  data points
//	8 bytes  size of the record
//	8 bytes  when its oldest part was accepted, ns since 1970
//	8 bytes  when its newest part was accepted
//	8 bytes  of how many collections it is made
//	4 bytes  hash of its resource
//	4 bytes  CRC-32C of the position and all of the above
//
// with all numbers big endian.
type index struct {
	points         int
	size           int64
	oldest, newest time.Time
	parts          int
	resource       uint32 // different for different resources, but for chance
}

const indexSize = 1 + 5*8 + 2*4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// key returns the key of a position in the file.
func key(position uint64) []byte { return binary.BigEndian.AppendUint64(nil, position) }

func (x *index) encode(position uint64) []byte {
	b := make([]byte, 0, indexSize)
	b = append(b, frame.Version)
	b = binary.BigEndian.AppendUint64(b, uint64(x.points))
	b = binary.BigEndian.AppendUint64(b, uint64(x.size))
	b = binary.BigEndian.AppendUint64(b, uint64(x.oldest.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(x.newest.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(x.parts))
	b = binary.BigEndian.AppendUint32(b, x.resource)
	return binary.BigEndian.AppendUint32(b, indexSum(position, b))
}

func indexSum(position uint64, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(key(position), castagnoli), castagnoli, b)
}

// decodeIndex returns an error that wraps frame.ErrVersion or frame.ErrCorrupt
// for what encode cannot have written.
func decodeIndex(position uint64, b []byte) (index, error) {
	if len(b) > 0 && b[0] > frame.Version {
		return index{}, fmt.Errorf("%w: %d, this release knows up to %d", frame.ErrVersion, b[0], frame.Version)
	}
	if len(b) != indexSize || b[0] != frame.Version {
		return index{}, fmt.Errorf("%w: index of %d bytes", frame.ErrCorrupt, len(b))
	}
	sum := b[indexSize-4:]
	if binary.BigEndian.Uint32(sum) != indexSum(position, b[:indexSize-4]) {
		return index{}, fmt.Errorf("%w: checksum of the index", frame.ErrCorrupt)
	}
	number := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[1+8*i:])) }
	return index{
		points:   int(number(0)),
		size:     number(1),
		oldest:   time.Unix(0, number(2)),
		newest:   time.Unix(0, number(3)),
		parts:    int(number(4)),
		resource: binary.BigEndian.Uint32(b[1+5*8:]),
	}, nil
}
