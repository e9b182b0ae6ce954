package embedded

import "bytes"

// spanReader finds records one after the other, in one transaction. It reads the entries of a span
// once, no further than it has to, and keeps them until it is asked for a record of another span: to
// read them for each record would check their checksums again and again.
type spanReader struct {
	packing *packing
	bucket  bucket
	of      []byte // a key of the span; nil before the first
	entries []packedEntry
	cursor  cursor
	next    packedEntry // is not among the entries yet; without a key at the end
}

// find reads the value of a record.
func (s *spanReader) find(key []byte) (value []byte, ok bool) {
	if s.of == nil || !s.packing.isBeside(s.of, key) {
		s.of, s.entries, s.cursor = key, s.entries[:0], s.bucket.cursor()
		s.next.key, s.next.value = s.cursor.Seek(s.packing.start(key))
	}
	for s.next.key != nil && bytes.Compare(s.next.key, key) <= 0 {
		s.entries = append(s.entries, s.next)
		s.next.key, s.next.value = s.cursor.Next()
	}
	for _, e := range s.entries {
		if bytes.Compare(e.key, key) > 0 {
			break
		}
		if value, ok = s.packing.in(e.key, e.value, key); ok {
			return value, true
		}
	}
	return nil, false
}
