package embedded

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestReplayAfterKill has a replay go on at once after its process was killed, as it was last saved:
// nobody holds it any more.
func TestReplayAfterKill(t *testing.T) {
	t.Parallel()
	s := newKilled(t.TempDir())
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	holder := uuid.New()
	r := &delivery.Replay{Tenant: "acme", ID: delivery.NewID(s.Now()), State: delivery.ReplayRunning}
	r.Filter.Status, r.Filter.Since = delivery.ReplayFailed, time.Now().UTC()
	if err := s.CreateReplay(t.Context(), r, time.Hour); err != nil {
		t.Fatal(err)
	}
	if claimed, err := s.ClaimReplays(t.Context(), 0, holder, time.Hour, 1); err != nil || len(claimed) != 1 {
		t.Fatalf("claimed %+v, %v", claimed, err)
	}
	r.Total, r.Done, r.Counted, r.Place = 10, 3, true, "here"
	r.Sending = []delivery.ReplayedDelivery{{WebhookID: uuid.New(), EventID: uuid.New(), Last: uuid.New()}}
	if _, err := s.SaveReplay(t.Context(), r, holder, time.Hour, time.Hour); err != nil {
		t.Fatal(err)
	}
	again := open(t, killedCopy(t, s))
	claimed, err := again.ClaimReplays(t.Context(), 0, uuid.New(), time.Hour, 1)
	if err != nil || len(claimed) != 1 || !reflect.DeepEqual(&claimed[0], r) {
		t.Errorf("claimed %+v, %v, want %+v", claimed, err, r)
	}
}
