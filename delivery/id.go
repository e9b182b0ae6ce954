package delivery

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// NewID makes a UUID of version 7 (RFC 9562, section 5.7) for the moment t.
// Ids made later sort later: the 12 bits after the milliseconds are the
// fraction of the millisecond (method 3 of section 6.2). The clock is the
// caller's because ids say in which hour and day of the log a row lies, and
// that must be the store's time, not this machine's.
func NewID(t time.Time) uuid.UUID {
	var id uuid.UUID
	_, _ = rand.Read(id[8:]) // crypto/rand.Read never fails since Go 1.24.
	ns := t.UnixNano()
	ms := ns / int64(time.Millisecond)
	fraction := uint16((ns % int64(time.Millisecond)) * 4096 / int64(time.Millisecond))
	binary.BigEndian.PutUint16(id[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms))
	binary.BigEndian.PutUint16(id[6:], 0x7000|fraction)
	id[8] = 0x80 | id[8]&0x3f
	return id
}

// FirstRequestID makes the id of the first request by which an event goes to a webhook, and
// which begins at startedAt.
// Only its milliseconds come of the time, and the rest of the
// event and the webhook: so whoever knows these, and about when the request began, can find
// it without a record of its id.
func FirstRequestID(w WebhookRef, event uuid.UUID, startedAt time.Time) uuid.UUID {
	text := make([]byte, 0, 128)
	text = append(text, w.ID[:]...)
	text = append(text, event[:]...)
	text = append(text, w.Tenant...)
	sum := sha256.Sum256(text) // so that nobody can choose an event whose request has the id of another's
	id := FirstID(startedAt)
	id[6] |= sum[6] & 0x0f
	id[7] = sum[7]
	copy(id[8:], sum[8:16])
	id[8] = 0x80 | id[8]&0x3f
	return id
}

// FirstID is the smallest id that NewID can make for the millisecond of t, and so a
// lower bound of the ids that are made at t or later.
func FirstID(t time.Time) uuid.UUID {
	var id uuid.UUID
	ms := t.UnixMilli()
	binary.BigEndian.PutUint16(id[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms))
	id[6], id[8] = 0x70, 0x80
	return id
}

// IDTime is the time in an id of version 7, to the millisecond.
func IDTime(id uuid.UUID) time.Time {
	ms := int64(binary.BigEndian.Uint16(id[0:]))<<32 | int64(binary.BigEndian.Uint32(id[2:]))
	return time.UnixMilli(ms).UTC()
}
