package embedded

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// acceptAgain accepts events that were accepted before, in a call with a nonce.
func acceptAgain(t *testing.T, s *Store, call delivery.AcceptCall, nonce uuid.UUID, retention time.Duration) []delivery.AcceptedEvent {
	t.Helper()
	call.Nonce = nonce
	for i := range call.Events {
		call.Events[i].New = false
	}
	r := s.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: time.Minute, Retention: retention})
	if r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	return r[0].Events
}

// TestPackedIDs finds events by ids that entries have together, and gives such an id to
// another event once the first one has expired.
func TestPackedIDs(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	call := load.Call(100, false)
	id := call.Events[50].ID
	nonce := call.Nonce
	expired := -2 * delivery.EventGrace
	first := s.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Retention: expired})
	if first[0].Err != nil {
		t.Fatal(first[0].Err)
	}
	if _, _, err := s.Event(t.Context(), call.Tenant, id); !errors.Is(err, delivery.ErrNotFound) {
		t.Errorf("an event that has expired: %v", err)
	}
	one := call
	one.Events = call.Events[50:51]
	if again := acceptAgain(t, s, one, uuid.New(), time.Hour); again[0].Duplicate || again[0].Repeated {
		t.Errorf("%+v, although the event with the id has expired", again)
	}
	if again := acceptAgain(t, s, one, uuid.New(), time.Hour); !again[0].Duplicate {
		t.Errorf("%+v, although the id was given again", again)
	}
	if _, _, err := s.Event(t.Context(), call.Tenant, id); err != nil {
		t.Error(err)
	}
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), 2*expired); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range acceptAgain(t, s, call, nonce, time.Hour) {
		if e.Duplicate || e.Repeated {
			t.Errorf("event %d is known after it was swept", i)
		}
	}
	for i, e := range acceptAgain(t, s, call, nonce, time.Hour) {
		if !e.Repeated {
			t.Errorf("event %d is not known: %+v", i, e)
		}
	}
	for i, e := range acceptAgain(t, s, call, uuid.New(), time.Hour) {
		if !e.Duplicate {
			t.Errorf("event %d is no duplicate: %+v", i, e)
		}
	}
}

// TestPackedAside damages an entry that has many records: all are written anew but the one
// that is damaged.
func TestPackedAside(t *testing.T) {
	for _, bucket := range [][]byte{idsBucket, deliveriesBucket, logBucket} {
		t.Run(string(bucket), func(t *testing.T) {
			t.Parallel()
			s := &scene{t: t, Store: newKilled(t.TempDir())}
			if err := s.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			load := storetest.Load{Store: s.Store}
			load.Begin(t)
			calls, accepted := load.Accept(t, 100, true)
			load.Complete(t, calls, accepted)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s.poison(bucket, poisons["value flipped"])
			s.reopen()
			for look := range 2 { // what the first one finds is set aside before the second
				found := 0
				for i := range calls {
					if _, deliveries, err := s.Event(t.Context(), calls[i].Tenant, calls[i].Events[0].ID); err == nil && len(deliveries) == 1 &&
						deliveries[0].Status == delivery.DeliverySuccess && deliveries[0].Attempts == 1 {
						found++
					}
				}
				page, err := s.Requests(t.Context(), calls[0].Tenant, delivery.RequestFilter{Limit: 200})
				if err != nil {
					t.Fatal(err)
				}
				if look == 1 && (found < 99 || len(page.Requests) != 100) {
					t.Errorf("%d events and %d requests are found", found, len(page.Requests))
				}
			}
			if n := s.SetAside(); n != 1 {
				t.Errorf("%d records were set aside", n)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
