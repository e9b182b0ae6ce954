package embedded

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// emitSome accepts events of two tenants in turn, and returns the ids of those of the first one.
func emitSome(t *testing.T, s *Store, n int) (ids []uuid.UUID) {
	t.Helper()
	for i := range n {
		for _, tenant := range []string{"one", "two"} {
			id := uuid.New()
			r := s.Accept(t.Context(), delivery.AcceptBatch{Lease: time.Minute, Retention: time.Hour, Calls: []delivery.AcceptCall{{
				Tenant: tenant, Nonce: uuid.New(), Events: []delivery.AcceptEvent{{ID: id, Type: fmt.Sprint("type ", i%3), OccurredAt: s.Now(), Payload: []byte("{}")}},
			}}})[0]
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if tenant == "one" {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// listedEvents gives the ids of a tenant's events, oldest first or newest first, page by page.
func listedEvents(t *testing.T, s *Store, filter delivery.EventFilter) (ids []uuid.UUID) {
	t.Helper()
	for filter.Limit = 7; ; {
		page, err := s.Events(t.Context(), "one", filter)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			ids = append(ids, page.Events[i].ID)
		}
		if filter.After = page.Next; page.Next == "" {
			return ids
		}
	}
}

func wantListed(t *testing.T, s *Store, want []uuid.UUID) {
	t.Helper()
	if got := listedEvents(t, s, delivery.EventFilter{OldestFirst: true}); !slices.Equal(got, want) {
		t.Errorf("oldest first: %d events, want %d, or in another order", len(got), len(want))
	}
	got := listedEvents(t, s, delivery.EventFilter{})
	if slices.Reverse(got); !slices.Equal(got, want) {
		t.Errorf("newest first: %d events, want %d, or in another order", len(got), len(want))
	}
}

// withoutIndex makes the file of a store one of a version that had no index of events.
func withoutIndex(t *testing.T, folder string) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(folder, fileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return errors.Join(tx.DeleteBucket(arrivedBucket), tx.Bucket(metaBucket).Delete(arrivedBucket))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestEventsOfOldFiles lists the events of a file that had no index of events: the earlier ones are
// found as the new ones are, whatever the disk has when the process ends.
func TestEventsOfOldFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := emitSome(t, s, 120)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	withoutIndex(t, folder)
	if report := checked(t, folder); len(report.Damages) > 0 {
		t.Errorf("Check: %q", report.Damages)
	}
	killed := open(t, folder)
	wantListed(t, killed, ids)
	ids = append(ids, emitSome(t, killed, 30)...)
	wantListed(t, killed, ids)

	s = open(t, killedCopy(t, killed))
	wantListed(t, s, ids)
	ids = append(ids, emitSome(t, s, 30)...)
	wantListed(t, s, ids)
	checkpoint(t, s)
	s = open(t, killedCopy(t, s))
	ids = append(ids, emitSome(t, s, 3)...)
	wantListed(t, s, ids)
	if s.state.indexed > eventOf(t, s, ids[150]) {
		t.Error("the index does not count")
	}
}

// eventOf is the number of an event.
func eventOf(t *testing.T, s *Store, id uuid.UUID) (number uint64) {
	t.Helper()
	if err := s.read(func(v *view) error {
		key, ok := findEvent(v.bucket(idsBucket), s.state.tenants["one"].number, id)
		if !ok {
			t.Fatal("there is no such event")
		}
		number = eventNumber(key)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return number
}

// TestEventsWithoutIndex lists events while the index does not count, as where the disk has no room.
func TestEventsWithoutIndex(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	s.mu.Lock()
	s.state.indexed = 1<<64 - 1
	s.mu.Unlock()
	ids := emitSome(t, s, 120)
	wantListed(t, s, ids)
}

// TestIndexLost loses an entry of the index, which is written anew.
func TestIndexLost(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := emitSome(t, s, 40)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	scene := &scene{t: t, Store: s}
	scene.poison(arrivedBucket, poisons["value flipped"])
	s = open(t, folder)
	for s.SetAside() == 0 {
		listedEvents(t, s, delivery.EventFilter{})
	}
	wantListed(t, s, ids)
}
