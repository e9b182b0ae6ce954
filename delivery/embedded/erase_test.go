package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// hushed emits an event that has the secret in its payload, and in the bodies of many requests.
func hushed(t *testing.T, s *Store, w *delivery.Webhook, requests int) uuid.UUID {
	t.Helper()
	call := delivery.AcceptCall{Tenant: w.Tenant, Version: s.state.version(w.Tenant), Nonce: uuid.New(), Events: []delivery.AcceptEvent{{
		ID: delivery.NewID(s.Now()), Type: "a", OccurredAt: s.Now(), Payload: []byte(hushSecret),
		Targets: []delivery.Target{{Webhook: w.ID, Lease: true}},
	}}}
	result := s.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: time.Hour, Retention: 24 * time.Hour})[0]
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	for n := range requests {
		o := outcome(s, &call, &result)
		o.Request.ResponseBody = fmt.Sprint(hushSecret, n)
		if n > 0 {
			o.Request.Trigger, o.Request.Attempt, o.LeaseEnd = delivery.TriggerRerun, 0, 0
		}
		if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{o})...); err != nil {
			t.Fatal(err)
		}
	}
	return call.Events[0].ID
}

// erasedInPart does some of the writes of an erasure.
func erasedInPart(t *testing.T, s *Store, tenant string, id uuid.UUID, writes int) (more bool) {
	t.Helper()
	var left []byte
	for n := range writes {
		if err := s.write(alone, func(txn *txn) (err error) {
			if n == 0 {
				left, err = s.eraseEvent(txn, tenant, id)
				more = left != nil
				return err
			}
			more, err = s.eraseMore(txn, left)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return more
}

// isErasing reports whether the database notes an event that is being erased.
func isErasing(t *testing.T, s *Store) (is bool) {
	t.Helper()
	if err := s.write(reading, func(txn *txn) error {
		k, _ := txn.tx.Bucket(metaBucket).Cursor().Seek(erasingPrefix)
		is = bytes.HasPrefix(k, erasingPrefix)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return is
}

// TestEraseKilled ends the process between each two writes of an erasure. The next one's Sweep does
// the rest: nothing is left in the two files.
func TestEraseKilled(t *testing.T) {
	t.Parallel()
	for writes := 1; ; writes++ {
		s := opened(t, New(t.TempDir()))
		w := newHook(t, s)
		id := hushed(t, s, w, 2*erasedPerWrite+1)
		checkpoint(t, s)
		more, crashed := erasedInPart(t, s, w.Tenant, id, writes), t.TempDir()
		if err := s.write(reading, func(*txn) error { return copyFiles(s.folder, crashed) }); err != nil {
			t.Fatal(err)
		}
		if n := found(t, crashed, hushSecret); n == 0 {
			t.Fatal("nothing was stored in clear")
		}
		again := opened(t, New(crashed))
		if is := isErasing(t, again); is != more {
			t.Fatalf("after %d writes, it says that an event is being erased: %v", writes, is)
		}
		wipeNow(t, again)
		if n := found(t, crashed, hushSecret); n != 0 {
			t.Errorf("after %d writes, what was to be erased is there %d times", writes, n)
		}
		if isErasing(t, again) {
			t.Error("an event is being erased after Sweep")
		}
		if !more {
			if writes < 3 {
				t.Errorf("it took %d writes", writes)
			}
			return
		}
	}
}

// TestEraseCrossed erases events while their deliveries are under way: once the files have been
// overwritten, which Sweep does within the hour, nothing is left in them.
func TestEraseCrossed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := opened(t, New(folder))
	storetest.EraseCrossed(t, 30, hushSecret, func() {}, s)
	checkpoint(t, s)
	if found(t, folder, hushSecret) == 0 {
		t.Error("nothing was stored in clear")
	}
	wipeNow(t, s)
	if n := found(t, folder, hushSecret); n != 0 {
		t.Errorf("what was to be erased is there %d times", n)
	}
}
