package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// receiving has the messages that are being received. It is in memory alone, as leases are:
// only one process has the store, so that after a restart nobody receives anything.
type receiving struct {
	mu    sync.Mutex
	marks map[string]receivingMark // by their keys
}

type receivingMark struct {
	token uuid.UUID
	ends  int64 // by the schedule's clock
}

var receivedPrefix = []byte("received")

// receivedKey is the key of a received message, in meta: earlier versions pass over it.
func receivedKey(message [16]byte, guard delivery.Guard) []byte {
	return append(append(slices.Clone(receivedPrefix), message[:]...), guard[:]...)
}

// MarkReceived marks a message that others have sent.
func (s *Store) MarkReceived(_ context.Context, mark *delivery.ReceivedMark) error {
	keys := make([][]byte, len(mark.Guards))
	for i, guard := range mark.Guards {
		keys[i] = receivedKey(mark.Message, guard)
	}
	now := s.clock.now().schedule
	ends := now + mark.For.Milliseconds()
	switch mark.As {
	case delivery.Receiving:
		free := s.receiving.begin(keys, receivingMark{mark.Token, ends}, now)
		err := s.read(func(v *view) error { return v.notReceived(keys, now) })
		if err == nil && !free {
			err = delivery.ErrReceiving
		}
		if err != nil && free {
			s.receiving.end(keys, mark.Token)
		}
		return err
	case delivery.Received:
		// Until that is on the disk, it is still being received.
		if err := s.write(together, func(t *txn) error { return t.received(keys, ends) }); err != nil {
			return err
		}
	}
	s.receiving.end(keys, mark.Token)
	return s.usable()
}

// begin notes that a message is being received, unless it is under another token.
func (r *receiving) begin(keys [][]byte, mark receivingMark, now int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		if other := r.marks[string(key)]; other.ends > now && other.token != mark.token {
			return false
		}
	}
	for _, key := range keys {
		r.marks[string(key)] = mark
	}
	return true
}

// end notes that a message is no longer being received.
func (r *receiving) end(keys [][]byte, token uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		if r.marks[string(key)].token == token {
			delete(r.marks, string(key))
		}
	}
}

// forget drops the marks that have ended.
func (r *receiving) forget(now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.marks, func(_ string, mark receivingMark) bool { return mark.ends <= now })
}

// notReceived returns an error if a message has been received.
func (v *view) notReceived(keys [][]byte, now int64) error {
	b := v.bucket(metaBucket)
	for _, key := range keys {
		if receivedUntil(b.get(key)) > now {
			return delivery.ErrReceived
		}
	}
	return nil
}

// received writes that a message has been received.
func (t *txn) received(keys [][]byte, until int64) error {
	b := t.journaled(metaBucket)
	for _, key := range keys {
		if receivedUntil(b.get(key)) >= until {
			continue
		}
		if err := b.put(key, number8(uint64(until))); err != nil {
			return err
		}
	}
	return nil
}

// receivedUntil is until when a message must not be received again, 0 without a record.
func receivedUntil(value []byte) int64 {
	if len(value) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(value))
}

const (
	// receivedKeys is how many records of messages a step of housekeeping looks at.
	receivedKeys = 5_000
	// receivedEvery is how often all are looked at.
	receivedEvery = 10 * time.Minute
)

// receivedSweep is how far Sweep has come with the records of received messages.
type receivedSweep struct {
	next []byte // the key to go on from, nil between two rounds
	due  int64  // when the next round begins, by the schedule's clock
}

// received removes records of messages that have ended. They are not in the order in which
// they end, so all are looked at, now and then.
func (s *sweep) received() error {
	now, at := s.txn.at.schedule, &s.store.receivedSwept
	if at.next == nil {
		if now < at.due {
			return nil
		}
		s.store.receiving.forget(now)
		at.next = receivedPrefix
	}
	var keys [][]byte
	c := s.txn.tx.Bucket(metaBucket).Cursor() // not ours, which looks one key further: see keys of meta without a checksum
	k, sealed := c.Seek(at.next)
	for looked := 0; bytes.HasPrefix(k, receivedPrefix) && looked < receivedKeys && s.keys+len(keys) < sweepKeys; looked++ {
		if value, ok := s.txn.sealer.unseal(metaNumber, k, sealed); !ok || receivedUntil(value) <= now {
			keys = append(keys, slices.Clone(k))
		}
		k, sealed = c.Next()
	}
	if bytes.HasPrefix(k, receivedPrefix) {
		at.next = slices.Clone(k)
		s.unfinished = true
	} else {
		at.next, at.due = nil, now+receivedEvery.Milliseconds()
	}
	return s.remove(metaBucket, keys...)
}
