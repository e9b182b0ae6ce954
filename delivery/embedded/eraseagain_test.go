package embedded

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestErasingDamaged damages the note of an erasure that has broken off. It is set aside, and the
// erasure goes on by what is known of the event's deliveries. If that is lost, too, health says so.
func TestErasingDamaged(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"the note alone": false, "the deliveries, too": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, said := observer.New(zapcore.ErrorLevel)
			s := opened(t, New(t.TempDir(), WithLogger(zap.New(core))))
			w := newHook(t, s)
			id, whole := hushed(t, s, w, 2*erasedPerWrite+1), hushed(t, s, w, 2*erasedPerWrite+1)
			for _, id := range []uuid.UUID{id, whole} {
				if !erasedInPart(t, s, w.Tenant, id, 1) {
					t.Fatal("nothing is left to erase")
				}
			}
			damageErasing(t, s, lost)
			sweepAll(t, s)
			if isErasing(t, s) {
				t.Error("an event is being erased after Sweep")
			}
			if n := hushedRows(t, s); (n > 0) != lost {
				t.Errorf("%d rows have what was erased", n)
			}
			if err := s.Unerased(); (err != nil) != lost {
				t.Errorf("the store says: %v", err)
			}
			if n := said.FilterMessageSnippet("was set aside").FilterFieldKey("event_number").Len(); n != 1 || s.SetAside() != 1 {
				t.Errorf("%d lines of the log, and %d records set aside: %v", n, s.SetAside(), said.All())
			}
			if n := said.FilterMessageSnippet("what is left of an erasure").FilterFieldKey("received_at").Len(); (n == 1) != lost {
				t.Errorf("%d lines of the log say that it is lost: %v", n, said.All())
			}
		})
	}
}

// damageErasing damages the first note of an erasure and, if they are to be lost, removes the event's
// deliveries.
func damageErasing(t *testing.T, s *Store, lost bool) {
	t.Helper()
	if err := s.write(alone, func(txn *txn) error {
		meta := txn.tx.Bucket(metaBucket)
		key, note := meta.Cursor().Seek(erasingPrefix)
		bad := append([]byte(nil), note...)
		bad[3] ^= 1
		if !lost {
			return meta.Put(append([]byte(nil), key...), bad)
		}
		var keys []byte
		packedDeliveries.eachWith(txn.bucket(deliveriesBucket), key[len(erasingPrefix):], func(k, _ []byte) { keys = append(keys, k...) })
		return errors.Join(meta.Put(append([]byte(nil), key...), bad), packedDeliveries.remove(txn.journaled(deliveriesBucket), keys))
	}); err != nil {
		t.Fatal(err)
	}
}

// TestUnerased has the engine's health say that an erasure is lost. Events are accepted all the same.
func TestUnerased(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	e := delivery.NewEngine(s)
	detach := e.Attach(delivery.DefaultSettings(), zap.NewNop())
	t.Cleanup(func() {
		detach()
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	emit := func() {
		t.Helper()
		if _, err := e.Emit(t.Context(), "acme", []delivery.NewEvent{{Type: "alert_active", Data: []byte(`{}`), OccurredAt: time.Now()}}); err != nil {
			t.Fatal(err)
		}
	}
	emit()
	if err := e.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.loseErasure()
	if err := e.Health(t.Context()); delivery.Reasons(err) != errErasureLost.Error() {
		t.Errorf("health is %v", err)
	}
	emit()
}
