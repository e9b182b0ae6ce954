package redis

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// usedBefore stores an event that was received hours ago, in one of its two places, and says
// that the hour in which it was received is dropped if it does not expire.
func usedBefore(t *testing.T, s *Store, w *delivery.Webhook, id uuid.UUID, place string, expires time.Time) {
	t.Helper()
	received := s.Now().Add(-12 * time.Hour)
	e := newCall(s, w, 1, 10, false).Events[0]
	value := append([]byte(strconv.FormatInt(received.UnixMilli(), 10)), encodeEvent(&e, uuid.New(), 0)...)
	base := s.keys.base(0)
	pipe := s.client().TxPipeline()
	if place == "hash" {
		span, _ := idSpan(id)
		expiry := binary.BigEndian.AppendUint64(nil, uint64(expires.UnixMilli()))[2:]
		pipe.HSet(t.Context(), eventsKey(base, span), eventField(w.Tenant, id), append(expiry, value...))
	} else {
		pipe.SetArgs(t.Context(), eventKey(base, w.Tenant, id), value, redis.SetArgs{ExpireAt: expires})
	}
	if expires.After(s.Now()) {
		pipe.Set(t.Context(), sweptKey(base), received.Unix()/3600+2, 0)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestEventAgain accepts ids that were used before by events that do not count any more, and
// that lie in the other place than the new ones.
func TestEventAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		before, after string
		age, expires  time.Duration
	}{
		{"hash", "string", 12 * time.Hour, time.Hour},
		{"hash", "string", 12 * time.Hour, -time.Minute},
		{"string", "hash", 0, time.Hour},
	} {
		t.Run(fmt.Sprint(test.before, test.expires), func(t *testing.T) {
			s := open(t, options())
			w := addWebhook(t, s, testTenant)
			id, expires := delivery.NewID(s.Now().Add(-test.age)), s.Now().Add(test.expires)
			usedBefore(t, s, w, id, test.before, expires)
			call := newCall(s, w, 1, 20, false)
			call.Events[0].ID = id
			if result := mustAccept(t, s, call); result.Events[0] != (delivery.AcceptedEvent{Deliveries: 1}) {
				t.Fatalf("accepted: %+v", result.Events)
			}
			if got := places(t, s, testTenant, id); !slices.Equal(got, []string{test.after}) {
				t.Errorf("it lies in %v, want %s", got, test.after)
			}
			usedBefore(t, s, w, id, test.before, expires) // as if it had not been removed
			if e, _, err := s.Event(t.Context(), testTenant, id); err != nil || len(e.Payload) != 20 {
				t.Errorf("the event is %+v, %v", e, err)
			}
			if result := mustAccept(t, s, call); !result.Events[0].Repeated {
				t.Errorf("again: %+v", result.Events)
			}
			if err := countJobs(claim(t, s), 1); err != nil {
				t.Error(err)
			}
		})
	}
}
