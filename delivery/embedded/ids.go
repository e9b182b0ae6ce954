package embedded

import (
	"bytes"
	"slices"

	"github.com/google/uuid"
)

// The ids of events are of two kinds. Those that the engine made begin with their time, so that
// a span has as many as come in its time: they are packed. Those that emitters chose, or that
// were imported, may be anything, and all may have the same beginning: each has an entry of its
// own, which is found without reading others.

// madeBit is set in the tenant's number in the keys of ids that the engine made. The numbers
// never get as large.
const madeBit = 0x80

// madeKey makes the key of an id that the engine made of the key of one that it did not make.
func madeKey(key []byte) []byte {
	key = slices.Clone(key)
	key[0] |= madeBit
	return key
}

// isMade reports whether a key is one of an id that the engine made.
func isMade(key []byte) bool { return len(key) > 0 && key[0]&madeBit != 0 }

// findEvent finds the key of the event that has an id.
func findEvent(ids bucket, tenant uint32, id uuid.UUID) (event []byte, ok bool) {
	key := idKey(tenant, id)
	if event = ids.get(key); len(event) == packedIDs.value {
		return event, true
	}
	return packedIDs.find(ids, madeKey(key))
}

// findEventIn is findEvent for who looks for several.
func findEventIn(ids *spanReader, tenant uint32, id uuid.UUID) (event []byte, ok bool) {
	key := idKey(tenant, id)
	if event = ids.bucket.get(key); len(event) == packedIDs.value {
		return event, true
	}
	return ids.find(madeKey(key))
}

// removeIDs removes ids, if the bucket has them: keys as of those that the engine did not make
// are one behind the other.
func removeIDs(ids journaled, keys []byte) error {
	var made []byte
	for key := range slices.Chunk(keys, packedIDs.key) {
		made = append(made, madeKey(key)...)
		if ids.sealed(key) == nil {
			continue
		}
		if err := ids.delete(key); err != nil {
			return err
		}
	}
	return packedIDs.remove(ids, made)
}

// isReadableID reports whether an entry of ids has the right size.
func isReadableID(key, value []byte) bool {
	return packedIDs.isWhole(key, value) && (isMade(key) || len(value) == packedIDs.value)
}

// eventIDs writes anew which events have some ids, if the events say so, too.
func (a *aside) eventIDs(key, value []byte) error {
	events, ids := a.txn.bucket(eventsBucket), a.txn.journaled(idsBucket)
	isRight := func(id, number []byte) bool {
		h, ok := isEventHead(events.get(number))
		if !ok {
			return false
		}
		right := idKey(h.tenant, h.id)
		return bytes.Equal(id, right) || bytes.Equal(id, madeKey(right))
	}
	if isMade(key) {
		return a.restore(&packedIDs, idsBucket, key, value, func(id, number []byte) []byte {
			if !isRight(id, number) {
				return nil
			}
			return number
		})
	}
	if len(key) == packedIDs.key && len(value) == packedIDs.value && isRight(key, value) {
		return ids.put(key, value)
	}
	return nil
}
