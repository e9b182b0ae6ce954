package embedded

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

func TestCopy(t *testing.T) {
	t.Parallel()
	empty := func(t *testing.T) delivery.Copyable { return open(t, t.TempDir()) }
	storetest.RunCopy(t, empty, empty)
}

const importDays, importedEachDay = 20, 5

// TestImportedInAnyOrder checks that Sweep removes the oldest events, whatever order they
// were imported in, and keeps those from before and after the import.
func TestImportedInAnyOrder(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	acceptOne(t, s, 0)
	importShuffled(t, s)
	acceptOne(t, s, 1)

	const kept = 7 * importedEachDay
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), 7*24*time.Hour-12*time.Hour-delivery.EventGrace); err != nil {
			t.Fatal(err)
		}
	}
	wantKept(t, s, kept)

	// The disk has the same as memory, and leases end with their process.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, folder)
	wantKept(t, again, kept)
	if _, version, err := storetest.Webhooks(t.Context(), again, "acme"); err != nil || version != 1 {
		t.Errorf("the version is %d, %v, want 1", version, err)
	}
	claimed, err := again.Claim(t.Context(), 0, delivery.Room{Fast: 100, Slow: 100, PerWebhook: 100, Lease: time.Minute})
	if err != nil || len(claimed.Jobs) != 1 || !claimed.Jobs[0].Slow {
		t.Errorf("claimed %+v, %v, want one delivery of a slow webhook", claimed, err)
	}
}

// importShuffled imports a slow webhook, and, in a random order, some events of each of
// the last days. Each event has a pending delivery.
func importShuffled(t *testing.T, s *Store) {
	t.Helper()
	w := delivery.StoredWebhook{Webhook: delivery.Webhook{Tenant: "acme", ID: uuid.New(), Enabled: true}, Slow: true}
	hooks, events := new(delivery.Batch), new(delivery.Batch)
	hooks.AddWebhook(w)
	for n := range importDays * importedEachDay {
		received := s.Now().Add(-time.Duration(n/importedEachDay) * 24 * time.Hour).Truncate(time.Millisecond)
		events.AddEvent(delivery.StoredEvent{
			Event:   delivery.Event{Tenant: "acme", ID: uuid.New(), ReceivedAt: received, Payload: []byte("{}")},
			Expires: s.Now().Add(time.Hour), Nonce: uuid.New(),
			Deliveries: []delivery.StoredDelivery{{Webhook: w.ID, Status: delivery.DeliveryPending, Due: s.Now().Add(time.Hour)}},
		})
	}
	rand.Shuffle(len(events.Events), func(i, j int) { events.Events[i], events.Events[j] = events.Events[j], events.Events[i] })
	for _, b := range []*delivery.Batch{hooks, events} {
		if added, err := s.Import(t.Context(), b); err != nil || added != b.Len() {
			t.Fatalf("%d were added, %v", added, err)
		}
	}
}

// acceptOne accepts an event that no webhook wants.
func acceptOne(t *testing.T, s *Store, version int64) {
	t.Helper()
	call := delivery.AcceptCall{Tenant: "acme", Version: version, Nonce: uuid.New(), Events: []delivery.AcceptEvent{{ID: uuid.New()}}}
	if r := s.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Retention: time.Hour})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
}

// wantKept checks how many of the imported events are left, in addition to the two that
// were accepted.
func wantKept(t *testing.T, s *Store, kept int) {
	t.Helper()
	checkpoint(t, s)
	if err := s.read(func(v *view) error {
		for bucket, want := range map[string]int{"events": kept + 2, "ids": kept + 2, "pending": kept, "deliveries": 0} {
			if n := v.tx.Bucket([]byte(bucket)).Stats().KeyN; n != want {
				t.Errorf("%s has %d keys, want %d", bucket, n, want)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Pending(t.Context()); err != nil || int(n) != kept {
		t.Errorf("%d are pending, %v, want %d", n, err, kept)
	}
}
