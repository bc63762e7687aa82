package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// formatVersion is the version of the file: of its buckets and their keys.
const formatVersion = 1

// errFormat is wrapped by the error for a file of a newer release.
var errFormat = errors.New("written by a newer release")

// encodeFormat returns a version and its checksum: damage must not pass for a
// newer release.
func encodeFormat(version uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, version)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func checkFormat(b []byte) error {
	if len(b) != 8 || binary.BigEndian.Uint32(b[4:]) != crc32.Checksum(b[:4], castagnoli) {
		return fmt.Errorf("%w: version %x of its format", errDamaged, b)
	}
	if version := binary.BigEndian.Uint32(b); version > formatVersion {
		return fmt.Errorf("%w: version %d of the format, this release knows up to %d", errFormat, version, formatVersion)
	}
	return nil
}
