package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sort"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// packing is how the records of a bucket are packed. A key costs the database more than what
// is in it, and records come many at a time: so an entry has the key and the value of one
// record, and may have others behind that value, with what differs of their keys. These are
// later ones of the same span, in their order. A record is found by reading the entries of
// its span that begin before it.
type packing struct {
	key, value int // the lengths of a record's
	shared     int // how much of their keys all records of an entry have in common
	shift      int // of the 8 bytes after that: what is left is the span
}

// maxEntry is how long the value of an entry may be: a page of the database holds several.
const maxEntry = 900

// spanBits is how many bits of the milliseconds differ within a span: it has 16 of them.
// A page of the log reads the entries of whole spans.
const spanBits = 4

var (
	packedLog        = packing{key: logKeySize, shared: kindSize, shift: 16 + spanBits}
	packedIDs        = packing{key: 4 + idSize, value: 8, shared: 4, shift: 16 + spanBits}
	packedArrived    = packing{key: 4 + 8, shared: 4, shift: numberShift + spanBits}
	packedDeliveries = packing{key: 8 + 4, value: record.DeliverySize, shift: numberShift + spanBits}
)

// packingOf is how the records of a bucket are packed, nil if they are not.
func packingOf(bucket byte) *packing {
	switch bucket {
	case idsNumber:
		return &packedIDs
	case deliveriesNumber:
		return &packedDeliveries
	case logNumber:
		return &packedLog
	case arrivedNumber:
		return &packedArrived
	default:
		return nil
	}
}

const idSize = len(uuid.UUID{})

// size is the length of a record.
func (p *packing) size() int { return p.key + p.value }

// rest is the length of a record behind the first.
func (p *packing) rest() int { return p.key - p.shared + p.value }

// isWhole reports whether an entry has the right size.
func (p *packing) isWhole(key, value []byte) bool {
	return len(key) == p.key && len(value) >= p.value && (len(value)-p.value)%p.rest() == 0
}

// start is the least key that an entry in the span of a record can have. The end of the
// record's key may be missing, here and elsewhere, but not what says the span.
func (p *packing) start(key []byte) []byte {
	return binary.BigEndian.AppendUint64(slices.Clone(key[:p.shared]), p.span(key)<<p.shift)
}

func (p *packing) span(key []byte) uint64 { return binary.BigEndian.Uint64(key[p.shared:]) >> p.shift }

// isBeside reports whether an entry may have both records.
func (p *packing) isBeside(a, b []byte) bool {
	return bytes.Equal(a[:p.shared], b[:p.shared]) && p.span(a) == p.span(b)
}

// each gives the records of an entry. The key is valid until the next one.
func (p *packing) each(key, value []byte, do func(key, value []byte)) {
	if len(key) != p.key || len(value) < p.value {
		return
	}
	do(key, value[:p.value])
	next := slices.Clone(key)
	for value = value[p.value:]; len(value) >= p.rest(); value = value[p.rest():] {
		n := copy(next[p.shared:], value)
		do(next, value[n:p.rest()])
	}
}

// find reads the value of a record.
func (p *packing) find(b bucket, key []byte) (value []byte, ok bool) {
	c := b.cursor()
	for k, v := c.Seek(p.start(key)); k != nil && bytes.Compare(k, key) <= 0; k, v = c.Next() {
		if value, ok = p.in(k, v, key); ok {
			return value, true
		}
	}
	return nil, false
}

// in finds a record in an entry.
func (p *packing) in(k, v, key []byte) (value []byte, ok bool) {
	if len(k) != p.key || len(v) < p.value {
		return nil, false
	}
	if bytes.Equal(k, key) {
		return v[:p.value], true
	}
	others, want := v[p.value:], key[p.shared:]
	i := sort.Search(len(others)/p.rest(), func(i int) bool {
		return bytes.Compare(others[i*p.rest():][:len(want)], want) >= 0
	}) * p.rest()
	if i >= len(others) || !bytes.HasPrefix(others[i:], want) {
		return nil, false
	}
	return others[i+len(want) : i+p.rest()], true
}

// eachWith gives the records whose keys begin with a prefix. The keys are valid until the
// next one.
func (p *packing) eachWith(b bucket, prefix []byte, do func(key, value []byte)) {
	c := b.cursor()
	for k, v := c.Seek(p.start(prefix)); k != nil; k, v = c.Next() {
		if bytes.Compare(k, prefix) > 0 && !bytes.HasPrefix(k, prefix) {
			return
		}
		p.each(k, v, func(key, value []byte) {
			if bytes.HasPrefix(key, prefix) {
				do(key, value)
			}
		})
	}
}

// sorted gives the places of records in a buffer, which have a size each, by their keys.
func (p *packing) sorted(records []byte, size int) []int {
	places := make([]int, 0, len(records)/size)
	for at := 0; at < len(records); at += size {
		places = append(places, at)
	}
	slices.SortFunc(places, func(x, y int) int {
		return bytes.Compare(records[x:x+p.key], records[y:y+p.key])
	})
	return places
}

// add adds records that the bucket does not have: key and value of each, one behind the other.
func (p *packing) add(b journaled, records []byte) error {
	var value []byte
	for places := p.sorted(records, p.size()); len(places) > 0; {
		key := records[places[0]:][:p.key]
		value, places = p.pack(value[:0], records, places, b.view.single)
		if old := b.get(key); old != nil {
			// What the entry has beside these stays.
			added := packedEntry{key, value}
			var kept []byte
			p.each(key, slices.Clone(old), func(key, v []byte) {
				if _, ok := p.in(added.key, added.value, key); !ok {
					kept = append(append(kept, key...), v...)
				}
			})
			if err := errors.Join(b.put(key, value), p.add(b, kept)); err != nil {
				return err
			}
			continue
		}
		if err := b.put(key, value); err != nil {
			return err
		}
	}
	return nil
}

// addNew adds records that were made now: there can be no entry with the key of any, so it looks
// for none.
func (p *packing) addNew(b journaled, records []byte) error {
	var value []byte
	for places := p.sorted(records, p.size()); len(places) > 0; {
		key := records[places[0]:][:p.key]
		value, places = p.pack(value[:0], records, places, b.view.single)
		if err := b.put(key, value); err != nil {
			return err
		}
	}
	return nil
}

// pack appends the value of an entry that has the first record and as many of the next ones as fit
// into it. Left are the places of the others. With single, each record has an entry of its own.
func (p *packing) pack(value, records []byte, places []int, single bool) (_ []byte, left []int) {
	size := p.size()
	first := records[places[0]:][:size]
	value = append(value, first[p.key:]...)
	n := 1
	for ; !single && n < len(places) && len(value)+p.rest() <= maxEntry; n++ {
		next := records[places[n]:][:size]
		if !p.isBeside(first, next) {
			break
		}
		value = append(value, next[p.shared:]...)
	}
	return value, places[n:]
}

// set sets the value of a record, which the bucket may have.
func (p *packing) set(b journaled, key, value []byte) error {
	if err := p.remove(b, key); err != nil {
		return err
	}
	return b.put(key, value)
}

// remove removes records, if the bucket has them: keys are one behind the other.
func (p *packing) remove(b journaled, keys []byte) error {
	places := p.sorted(keys, p.key)
	key := func(i int) []byte { return keys[places[i]:][:p.key] }
	for i := 0; i < len(places); {
		first := i
		for i < len(places) && p.isBeside(key(first), key(i)) {
			i++
		}
		isGone := func(k []byte) bool {
			at := first + sort.Search(i-first, func(n int) bool { return bytes.Compare(key(first+n), k) >= 0 })
			return at < i && bytes.Equal(key(at), k)
		}
		for _, e := range p.entriesUpTo(b.bucket, key(first), key(i-1)) {
			if err := p.removeFrom(b, e, isGone); err != nil {
				return err
			}
		}
	}
	return nil
}

// packedEntry is a copy of an entry: what is read is valid only until something is written.
type packedEntry struct{ key, value []byte }

// entriesUpTo reads the entries that may have records of a span up to the last.
func (p *packing) entriesUpTo(b bucket, first, last []byte) (entries []packedEntry) {
	c := b.cursor()
	for k, v := c.Seek(p.start(first)); k != nil && bytes.Compare(k, last) <= 0; k, v = c.Next() {
		entries = append(entries, packedEntry{slices.Clone(k), slices.Clone(v)})
	}
	return entries
}

// removeFrom removes records from an entry.
func (p *packing) removeFrom(b journaled, e packedEntry, isGone func(key []byte) bool) error {
	var left []byte
	changed := false
	p.each(e.key, e.value, func(key, value []byte) {
		if isGone(key) {
			changed = true
		} else {
			left = append(append(left, key...), value...)
		}
	})
	if !changed {
		return nil
	}
	if err := b.delete(e.key); err != nil { // add keeps what an entry has
		return err
	}
	return p.add(b, left)
}

// mayHave reports whether the bucket has a record, or an entry that cannot be read where it
// would be.
func (p *packing) mayHave(b bucket, key []byte) bool {
	c := b.inner.Cursor()
	for k, v := c.Seek(p.start(key)); k != nil && bytes.Compare(k, key) <= 0; k, v = c.Next() {
		value, ok := b.view.sealer.unseal(b.number, k, v)
		if ok {
			_, ok = p.in(k, value, key)
		} else {
			ok = true
		}
		if ok {
			return true
		}
	}
	return false
}
