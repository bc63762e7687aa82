// Package frame wraps a record, so that whoever stored it can tell whether it
// is what was written. It is used by the queues that keep collections outside
// of the process; the data in their frames is an OTLP message, see
// [EncodeCollection].
//
// A frame is
//
//	1 byte   version of the frame, see [Version]
//	4 bytes  CRC-32C (Castagnoli), big endian, of all bytes behind it
//	n bytes  the data, compressed: one zstd frame
//
// The zstd frame can be read by any tool: tail -c +6 record | zstd -d.
//
// The package has no state that a caller could see; all of it may be used from
// several goroutines.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Version is the version of the frames that [Append] writes, and the newest
// that [Decode] reads. A release that changes what is in a frame, or in the
// data, takes the next number.
const Version = 1

// MaxSize is how many bytes of data one frame may hold.
const MaxSize = 1 << 30

const headerSize = 5

var (
	// ErrCorrupt is wrapped by the error of Decode for what Append cannot have
	// written.
	ErrCorrupt = errors.New("corrupt frame")

	// ErrVersion is wrapped by the error of Decode for a frame of a version that
	// this package does not know: a newer release wrote it.
	ErrVersion = errors.New("unknown version of frame")

	// ErrTooLarge is wrapped by the errors for data of more than MaxSize bytes, or
	// of more than whoever asked allows.
	ErrTooLarge = errors.New("too large for a frame")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// window is how far back zstd looks for repetitions. What repeats in a
// collection are attributes and bounds of neighbouring points, and memory for
// the compressor is a multiple of it.
const window = 1 << 20

// A codec is made when it is first needed: it takes about a MB.
//
// The fastest level is also the smallest, for collections: what repeats in them
// does so right behind.
var newEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(fmt.Sprintf("frame: %v", err)) // the options are constant
	}
	return e
})

// decoders has a *zstd.Decoder for each limit that was asked for.
var decoders sync.Map

func newDecoder(most int) *zstd.Decoder {
	if d, ok := decoders.Load(most); ok {
		return d.(*zstd.Decoder)
	}
	made, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(most)),
		zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(fmt.Sprintf("frame: %v", err)) // the limit is above 0
	}
	d, _ := decoders.LoadOrStore(most, made)
	return d.(*zstd.Decoder)
}

// Append appends a frame with data to dst and returns the extended slice. Its
// only error is [ErrTooLarge]. Data is neither kept nor changed.
func Append(dst, data []byte) ([]byte, error) {
	if len(data) > MaxSize {
		return dst, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	start := len(dst)
	dst = append(dst, Version, 0, 0, 0, 0)
	dst = newEncoder().EncodeAll(data, dst)
	body := dst[start+headerSize:]
	binary.BigEndian.PutUint32(dst[start+1:], crc32.Checksum(body, castagnoli))
	return dst, nil
}

// Decode appends the data of a frame to dst and returns the extended slice. Of
// data that may come from anybody, a small frame can hold very much, so it takes
// no more than most bytes, which must be above 0; [MaxSize] is what Append
// allows. Each most that is used keeps a decoder for good. On an error, which
// wraps [ErrCorrupt], [ErrVersion] or [ErrTooLarge], it returns dst as it was.
func Decode(dst, frame []byte, most int) ([]byte, error) {
	switch {
	case len(frame) == 0:
		return dst, fmt.Errorf("%w: it is empty", ErrCorrupt)
	case frame[0] > Version:
		return dst, fmt.Errorf("%w: %d, this release knows up to %d", ErrVersion, frame[0], Version)
	case frame[0] == 0:
		return dst, fmt.Errorf("%w: version 0", ErrCorrupt)
	case len(frame) < headerSize:
		return dst, fmt.Errorf("%w: %d bytes are less than a header", ErrCorrupt, len(frame))
	}
	body := frame[headerSize:]
	if want, got := binary.BigEndian.Uint32(frame[1:]), crc32.Checksum(body, castagnoli); want != got {
		return dst, fmt.Errorf("%w: checksum %08x, want %08x", ErrCorrupt, got, want)
	}
	data, err := newDecoder(most).DecodeAll(body, dst)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return dst, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most)
	case err != nil:
		return dst, fmt.Errorf("%w: zstd: %w", ErrCorrupt, err)
	}
	return data, nil
}
