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
	empty := func(t *testing.T) delivery.Copyable { return open(t, t.TempDir()) }
	storetest.RunCopy(t, empty, empty)
}

// TestImportedInAnyOrder has Sweep drop the oldest events, in whatever order they
// were imported, and keep those that were there before and those that came afterwards.
func TestImportedInAnyOrder(t *testing.T) {
	const days, ofEach = 20, 5
	folder := t.TempDir()
	s := open(t, folder)
	w := delivery.StoredWebhook{Webhook: delivery.Webhook{Tenant: "acme", ID: uuid.New(), Enabled: true}, Slow: true}
	hooks, batch := new(delivery.Batch), new(delivery.Batch)
	hooks.AddWebhook(w)
	for n := range days * ofEach {
		received := s.Now().Add(-time.Duration(n/ofEach) * 24 * time.Hour).Truncate(time.Millisecond)
		batch.AddEvent(delivery.StoredEvent{
			Event:   delivery.Event{Tenant: "acme", ID: uuid.New(), ReceivedAt: received, Payload: []byte("{}")},
			Expires: s.Now().Add(time.Hour), Nonce: uuid.New(),
			Deliveries: []delivery.StoredDelivery{{Webhook: w.ID, Status: delivery.DeliveryPending, Due: s.Now().Add(time.Hour)}},
		})
	}
	rand.Shuffle(len(batch.Events), func(i, j int) { batch.Events[i], batch.Events[j] = batch.Events[j], batch.Events[i] })
	accept := func(version int64) {
		call := delivery.AcceptCall{Tenant: "acme", Version: version, Nonce: uuid.New(), Events: []delivery.AcceptEvent{{ID: uuid.New()}}}
		if r := s.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Retention: time.Hour})[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	accept(0)
	for _, b := range []*delivery.Batch{hooks, batch} {
		if added, err := s.Import(t.Context(), b); err != nil || added != b.Len() {
			t.Fatalf("%d were added, %v", added, err)
		}
	}
	accept(1)

	const kept = 7 * ofEach
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), 7*24*time.Hour-12*time.Hour-delivery.EventGrace); err != nil {
			t.Fatal(err)
		}
	}
	wantKeys := func(s *Store) {
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
		if n, err := s.Pending(t.Context()); err != nil || n != kept {
			t.Errorf("%d are pending, %v, want %d", n, err, kept)
		}
	}
	wantKeys(s)

	// It is on the disk as it is in memory; leases end with their process.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, folder)
	wantKeys(again)
	if _, version, err := again.Webhooks(t.Context(), "acme"); err != nil || version != 1 {
		t.Errorf("the version is %d, %v, want 1", version, err)
	}
	claimed, err := again.Claim(t.Context(), delivery.Room{Fast: 100, Slow: 100, PerWebhook: 100, Lease: time.Minute})
	if err != nil || len(claimed.Jobs) != 1 || !claimed.Jobs[0].Slow {
		t.Errorf("claimed %+v, %v, want one delivery of a slow webhook", claimed, err)
	}
}
