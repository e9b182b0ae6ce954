package embedded

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestReceivedIsKept opens a store again: what has been received stays so, and nobody is
// receiving anything.
func TestReceivedIsKept(t *testing.T) {
	folder := t.TempDir()
	s := New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	mark := func(s *Store, message byte, as delivery.ReceivedAs, want error) {
		t.Helper()
		err := s.MarkReceived(t.Context(), &delivery.ReceivedMark{
			Message: [16]byte{message}, Guards: []delivery.Guard{{1}, {2}}, Token: uuid.New(), As: as, For: time.Hour,
		})
		if !errors.Is(err, want) {
			t.Errorf("message %d: %v, want %v", message, err, want)
		}
	}
	mark(s, 1, delivery.Receiving, nil)
	mark(s, 1, delivery.Received, nil)
	mark(s, 2, delivery.Receiving, nil)
	mark(s, 2, delivery.Receiving, delivery.ErrReceiving)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, folder)
	mark(s, 1, delivery.Receiving, delivery.ErrReceived)
	mark(s, 2, delivery.Receiving, nil)
}

// TestReceivedIsSwept has more records of received messages than a step of housekeeping looks
// at: those that have ended go, and the others stay, and so do those beside them.
func TestReceivedIsSwept(t *testing.T) {
	m, _ := newMachine(t)
	const short, long = receivedKeys, 1000
	err := m.write(together, func(txn *txn) error {
		for i := range short + long {
			until := m.clock.now().schedule + time.Minute.Milliseconds()
			if i >= short {
				until += time.Hour.Milliseconds()
			}
			if err := txn.received([][]byte{receivedKey(uuid.New(), delivery.Guard{})}, until); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for message := range byte(2) {
		if err := m.MarkReceived(t.Context(), &delivery.ReceivedMark{
			Message: [16]byte{message}, Guards: []delivery.Guard{{1}}, Token: uuid.New(), As: delivery.Receiving, For: time.Duration(1+60*int(message)) * time.Minute,
		}); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (records, receiving int) {
		sweepAll(t, m.Store)
		if err := m.file.View(func(tx *bolt.Tx) error {
			return tx.Bucket(metaBucket).ForEach(func(k, _ []byte) error {
				if bytes.HasPrefix(k, receivedPrefix) {
					records++
				}
				return nil
			})
		}); err != nil {
			t.Fatal(err)
		}
		return records, len(m.receiving.marks)
	}
	if records, receiving := left(); records != short+long || receiving != 2 {
		t.Errorf("before anything has ended, %d records and %d marks are left", records, receiving)
	}
	m.pass(receivedEvery)
	if records, receiving := left(); records != long || receiving != 1 {
		t.Errorf("%d records and %d marks are left, want %d and 1", records, receiving, long)
	}
	m.pass(2 * time.Hour)
	if records, receiving := left(); records != 0 || receiving != 0 {
		t.Errorf("%d records and %d marks are left in the end", records, receiving)
	}
	if n := m.SetAside(); n != 0 {
		t.Errorf("%d records were set aside", n)
	}
}

// BenchmarkReceived receives messages: see storetest.Received.
func BenchmarkReceived(b *testing.B) { storetest.Received(b, open(b, b.TempDir())) }
