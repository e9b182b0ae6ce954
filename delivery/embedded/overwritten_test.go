package embedded

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// damagedScene has a store with delivered events, and an entry that cannot be read of a bucket,
// if one is given.
func damagedScene(t *testing.T, bucket []byte, n int) (*scene, []delivery.AcceptCall, []delivery.Accepted) {
	t.Helper()
	s := &scene{t: t, Store: newKilled(t.TempDir())}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	load := storetest.Load{Store: s.Store}
	load.Begin(t)
	calls, accepted := load.Accept(t, n, true)
	load.Complete(t, calls, accepted)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if bucket != nil {
		s.poison(bucket, poisons["value flipped"])
	}
	return s, calls, accepted
}

// wantDeliveries looks for deliveries, of which one may be lost.
func wantDeliveries(t *testing.T, s *Store, calls []delivery.AcceptCall) {
	t.Helper()
	found := 0
	for i := range calls {
		if _, d, err := s.Event(t.Context(), calls[i].Tenant, calls[i].Events[0].ID); err == nil && len(d) == 1 && d[0].Status == delivery.DeliverySuccess {
			found++
		}
	}
	if found < len(calls)-1 {
		t.Errorf("%d of %d events and their deliveries are found", found, len(calls))
	}
}

// TestOverwritten writes to the key of an entry that cannot be read, and that nobody has read
// before: its other records are not lost.
func TestOverwritten(t *testing.T) {
	s, calls, accepted := damagedScene(t, deliveriesBucket, 20)
	s.reopen()
	o := outcome(s.Store, &calls[0], &accepted[0])
	o.LeaseEnd, o.Request.Trigger, o.Request.Attempt = 0, delivery.TriggerRerun, 0
	o.Request.Status, o.Request.StatusCode = delivery.RequestSuccess, 200
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{o})...); err != nil {
		t.Fatal(err)
	}
	if err := s.write(alone, func(*txn) error { return nil }); err != nil { // waits for what is set aside
		t.Fatal(err)
	}
	wantDeliveries(t, s.Store, calls)
	if n := s.SetAside(); n != 1 {
		t.Errorf("%d records were set aside", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSalvagePacked salvages a store in which an entry of many records cannot be read.
func TestSalvagePacked(t *testing.T) {
	for _, bucket := range [][]byte{idsBucket, deliveriesBucket, logBucket} {
		s, calls, _ := damagedScene(t, bucket, 100)
		to := filepath.Join(t.TempDir(), "copy")
		if _, err := Salvage(t.Context(), s.folder, to); err != nil {
			t.Fatal(err)
		}
		if report := checked(t, to); len(report.Damages) > 0 {
			t.Errorf("%s: Check: %q", bucket, report.Damages)
		}
		s.folder = to
		s.reopen()
		wantDeliveries(t, s.Store, calls)
		page, err := s.Requests(t.Context(), calls[0].Tenant, delivery.RequestFilter{Limit: 200})
		if err != nil || len(page.Requests) != len(calls) {
			t.Errorf("%s: %d requests, %v", bucket, len(page.Requests), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLogKey damages the key of an entry of the log: the rows behind the first are listed.
func TestLogKey(t *testing.T) {
	for _, place := range []int64{3, 7, int64(kindSize) + 3} { // the webhook's number, the event type, the time
		s, calls, _ := damagedScene(t, nil, 100)
		s.poison(logBucket, func(k, v []byte) (key, value []byte) { return flipped(k, place), v })
		s.reopen()
		found := 0
		for range 3 { // what a look finds is set aside before the next one
			page, err := s.Requests(t.Context(), calls[0].Tenant, delivery.RequestFilter{Limit: 200})
			if err != nil {
				t.Fatal(err)
			}
			found = len(page.Requests)
			if err := s.setPackedAside(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if found < len(calls)-1 {
			t.Errorf("byte %d: %d of %d rows are listed", place, found, len(calls))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
