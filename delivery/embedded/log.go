package embedded

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// The log has each row twice: under its tenant and under its webhook. A key costs the
// database more than what is in it, and requests end many at a time: so an entry has a row
// in its key, and may have others of the same kind and span in its value. These are later
// ones, in their order.

const (
	// spanBits is how many of the last bits of an id's milliseconds differ within a span,
	// which is what has to be read to find a row, or what comes before it.
	spanBits = 6
	// maxEntry is how many rows an entry has at most.
	maxEntry = 64
)

// logPlace is where a row is in the log: scope, event type and status, which are its kind,
// and its id.
type logPlace [logKeySize]byte

const (
	kindSize   = len(scope{}) + 4 + 1
	idSize     = len(uuid.UUID{})
	logKeySize = kindSize + idSize
)

func newLogPlace(of scope, eventType uint32, success bool, id uuid.UUID) (p logPlace) {
	copy(p[:], of[:])
	binary.BigEndian.PutUint32(p[len(of):], eventType)
	p[kindSize-1] = boolByte(success)
	copy(p[kindSize:], id[:])
	return p
}

func (p *logPlace) id() uuid.UUID { return uuid.UUID(p[kindSize:]) }

// isBeside reports whether an entry may have both rows.
func (p *logPlace) isBeside(other *logPlace) bool {
	return bytes.Equal(p[:kindSize], other[:kindSize]) && spanOf(p.id()) == spanOf(other.id())
}

func spanOf(id uuid.UUID) int64 { return delivery.IDTime(id).UnixMilli() >> spanBits }

// firstOfSpan is the least id in a span.
func firstOfSpan(span int64) (id uuid.UUID) {
	ms := uint64(span) << spanBits
	binary.BigEndian.PutUint16(id[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms))
	return id
}

// logEntry is an entry as it is read.
type logEntry struct {
	key []byte
	ids []uuid.UUID
}

// appendIDs appends the ids of an entry's rows, oldest first.
func appendIDs(ids []uuid.UUID, key, value []byte) []uuid.UUID {
	if len(key) < logKeySize {
		return ids
	}
	ids = append(ids, uuid.UUID(key[kindSize:logKeySize]))
	for ; len(value) >= idSize; value = value[idSize:] {
		ids = append(ids, uuid.UUID(value[:idSize]))
	}
	return ids
}

// entriesBeside reads the entries that may have a row.
func entriesBeside(log bucket, p *logPlace) (entries []logEntry) {
	span := spanOf(p.id())
	from, end := *p, *p
	first, last := firstOfSpan(span), firstOfSpan(span+1)
	copy(from[kindSize:], first[:])
	copy(end[kindSize:], last[:])
	c := log.cursor()
	for k, v := c.Seek(from[:]); k != nil && bytes.Compare(k, end[:]) < 0; k, v = c.Next() {
		entries = append(entries, logEntry{slices.Clone(k), appendIDs(nil, k, v)})
	}
	return entries
}

// isInLog reports whether the log has a row.
func isInLog(log bucket, p *logPlace) bool {
	return slices.ContainsFunc(entriesBeside(log, p), func(e logEntry) bool { return slices.Contains(e.ids, p.id()) })
}

func compareLogPlaces(a, b logPlace) int { return bytes.Compare(a[:], b[:]) }

// beside is how many of the first of some rows, which are sorted, an entry may have together.
func beside(rows []logPlace) (n int) {
	for n < len(rows) && rows[0].isBeside(&rows[n]) {
		n++
	}
	return n
}

// addToLog adds rows that the log does not have. It changes the order of those given.
func addToLog(log *journaled, rows []logPlace) error {
	slices.SortFunc(rows, compareLogPlaces)
	var value []byte
	for len(rows) > 0 {
		n := min(beside(rows), maxEntry)
		value = value[:0]
		for i := range rows[1:n] {
			value = append(value, rows[1+i][kindSize:]...)
		}
		if err := log.put(rows[0][:], value); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// removeFromLog removes rows from the log, if it has them. It changes the order of those given.
func removeFromLog(log *journaled, rows []logPlace) error {
	slices.SortFunc(rows, compareLogPlaces)
	for len(rows) > 0 {
		n := beside(rows)
		for _, e := range entriesBeside(log.bucket, &rows[0]) {
			if err := e.remove(log, rows[:n]); err != nil {
				return err
			}
		}
		rows = rows[n:]
	}
	return nil
}

// remove removes rows, which are sorted, from an entry.
func (e *logEntry) remove(log *journaled, rows []logPlace) error {
	left := logPlace(e.key)
	var value []byte
	n := 0
	for _, id := range e.ids {
		row := left
		copy(row[kindSize:], id[:])
		if _, gone := slices.BinarySearchFunc(rows, row, compareLogPlaces); gone {
			continue
		}
		if n++; n == 1 {
			left = row
		} else {
			value = append(value, id[:]...)
		}
	}
	if n == len(e.ids) {
		return nil
	}
	if n == 0 || !bytes.Equal(left[:], e.key) {
		if err := log.delete(e.key); err != nil {
			return err
		}
	}
	if n == 0 {
		return nil
	}
	return log.put(left[:], value)
}
