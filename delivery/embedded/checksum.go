package embedded

import (
	"encoding/binary"
	"hash/crc32"
)

// A value in the database is sealed: it ends with the CRC-32C of its bucket's number, its
// key and itself. So it cannot be read if a bit of it or of its key has changed, or if it
// is found at another key or in another bucket.

// sumSize is the length of a checksum.
const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealer makes and checks checksums. It keeps a copy of the key, so that the caller's does
// not escape to the heap.
type sealer struct{ key []byte }

func (s *sealer) sum(bucket byte, key, value []byte) uint32 {
	s.key = append(append(s.key[:0], bucket), key...)
	return crc32.Update(crc32.Update(0, castagnoli, s.key), castagnoli, value)
}

// seal appends a sealed value to b.
func (s *sealer) seal(b []byte, bucket byte, key, value []byte) []byte {
	b = append(b, value...)
	return binary.BigEndian.AppendUint32(b, s.sum(bucket, key, b[len(b)-len(value):]))
}

// unseal takes the checksum off a value. It reports false if the checksum is not right.
func (s *sealer) unseal(bucket byte, key, sealed []byte) (value []byte, ok bool) {
	at := len(sealed) - sumSize
	if at < 0 {
		return nil, false
	}
	value = sealed[:at:at]
	return value, s.sum(bucket, key, value) == binary.BigEndian.Uint32(sealed[at:])
}

// seal appends a sealed value to b.
func seal(b []byte, bucket byte, key, value []byte) []byte {
	return new(sealer).seal(b, bucket, key, value)
}

// unseal takes the checksum off a value. It reports false if the checksum is not right.
func unseal(bucket byte, key, sealed []byte) (value []byte, ok bool) {
	return new(sealer).unseal(bucket, key, sealed)
}
