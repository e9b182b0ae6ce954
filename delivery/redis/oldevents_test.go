package redis

import (
	"encoding/binary"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// storeOld stores an event as versions before the hashes did, byte for byte, and makes its
// delivery due. Its id is one that the engine made.
func storeOld(t *testing.T, s *Store, w *delivery.Webhook, received time.Time) (id, nonce uuid.UUID) {
	t.Helper()
	id, nonce = delivery.NewID(received), uuid.New()
	value := append([]byte(strconv.FormatInt(received.UnixMilli(), 10)), nonce[:]...)
	value = binary.BigEndian.AppendUint16(value, 0) // place
	value = binary.BigEndian.AppendUint16(value, 1) // deliveries
	value = record.AppendEvent(value, &record.Event{Type: "alert_active", OccurredAt: received, Targets: w.ID[:], Payload: []byte(`{"old":true}`)})
	base, ref := s.keys.base(0), refText(w.Ref())
	due := redis.Z{Score: float64(received.UnixMilli())}
	for _, err := range []error{
		s.client().SetArgs(t.Context(), base+"event:"+w.Tenant+":"+string(id[:]), value,
			redis.SetArgs{ExpireAt: received.Add(testRetention + time.Hour)}).Err(),
		s.client().ZAdd(t.Context(), base+"pending:"+ref, redis.Z{Score: due.Score, Member: string(id[:])}).Err(),
		s.client().ZAdd(t.Context(), base+"due", redis.Z{Score: due.Score, Member: ref}).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return id, nonce
}

// TestOldEvents reads, claims, completes, lists, exports and sweeps events as versions before
// the hashes stored them, beside new ones.
func TestOldEvents(t *testing.T) {
	t.Parallel()
	s, to := open(t, options()), open(t, options())
	w := addWebhook(t, s, testTenant)
	id, nonce := storeOld(t, s, w, s.Now().Truncate(time.Millisecond))
	mustAccept(t, s, newCall(s, w, 1, 10, false))

	if e, deliveries, err := s.Event(t.Context(), testTenant, id); err != nil || string(e.Payload) != `{"old":true}` ||
		len(deliveries) != 1 || deliveries[0].Status != delivery.DeliveryPending {
		t.Fatalf("the event is %+v with %+v, %v", e, deliveries, err)
	}
	call := newCall(s, w, 1, 10, false)
	call.Events[0].ID = id
	if result := mustAccept(t, s, call); !result.Events[0].Duplicate {
		t.Errorf("its id again: %+v", result.Events)
	}
	call.Nonce = nonce
	if result := mustAccept(t, s, call); !result.Events[0].Repeated || result.Events[0].Deliveries != 1 {
		t.Errorf("its call again: %+v", result.Events)
	}

	mustCopy(t, s, to)
	if n, err := to.Pending(t.Context()); err != nil || n != 2 {
		t.Errorf("%d deliveries were copied, %v", n, err)
	}
	if e, _, err := to.Event(t.Context(), testTenant, id); err != nil || string(e.Payload) != `{"old":true}` {
		t.Errorf("the copy is %+v, %v", e, err)
	}
	wantAdded(t, s, to, 0) // a second copy finds everything
	wantAdded(t, to, s, 0) // although it lies in another place here

	var outcomes []delivery.Outcome
	for _, job := range claim(t, s) {
		o := success(s, w, &delivery.AcceptEvent{ID: job.Event.ID, Type: job.Event.Type}, &delivery.Accepted{At: job.Event.ReceivedAt, LeaseEnd: job.LeaseEnd})
		outcomes = append(outcomes, o)
	}
	if len(outcomes) != 2 {
		t.Fatalf("%d deliveries were claimed, want 2", len(outcomes))
	}
	if err := errors.Join(s.Complete(t.Context(), outcomes)...); err != nil {
		t.Fatal(err)
	}
	page, err := s.Requests(t.Context(), testTenant, delivery.RequestFilter{EventID: id, Limit: 10})
	if err != nil || len(page.Requests) != 1 {
		t.Fatalf("its requests are %+v, %v", page.Requests, err)
	}
	if r, err := s.Request(t.Context(), testTenant, page.Requests[0].ID); err != nil || string(r.RequestBody) != `{"old":true}` {
		t.Errorf("its request is %+v, %v", r, err)
	}

	mustSweep(t, s, -4*time.Hour)
	if _, _, err := s.Event(t.Context(), testTenant, id); !errors.Is(err, delivery.ErrNotFound) {
		t.Errorf("after the retention: %v", err)
	}
	if result := mustAccept(t, s, call); result.Events[0].Repeated || result.Events[0].Duplicate {
		t.Errorf("its id after the retention: %+v", result.Events)
	}
}

// wantAdded copies, and checks how many items were missing.
func wantAdded(t *testing.T, from, to *Store, want int) {
	t.Helper()
	sums := make(map[string]int)
	if err := delivery.Copy(t.Context(), from, to, func(kind string, _, added int) { sums[kind] = added }); err != nil {
		t.Fatal(err)
	}
	if got := sums["webhooks"] + sums["events"] + sums["requests"]; got != want {
		t.Errorf("%d items were added, want %d", got, want)
	}
}
