package delivery

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestRequestID checks which requests have an id that follows from their delivery: no two of
// one delivery may have the same.
func TestRequestID(t *testing.T) {
	received := time.UnixMilli(1_700_000_000_123)
	w, ev := &Webhook{Tenant: "acme", ID: uuid.New()}, &Event{ID: uuid.New(), ReceivedAt: received}
	for name, tc := range map[string]struct {
		trigger Trigger
		attempt int
		behind  time.Duration // of the store's clock
		follows bool
	}{
		"first attempt":          {TriggerEvent, 1, 0, true},
		"clock not that precise": {TriggerEvent, 1, time.Millisecond, true},
		"clock set back":         {TriggerEvent, 1, time.Hour, false},
		"second attempt":         {TriggerEvent, 2, 0, false},
		"re-run":                 {TriggerRerun, 0, 0, false},
		"test":                   {TriggerTest, 0, 0, false},
	} {
		id := requestID(w, ev, tc.trigger, tc.attempt, received.Add(-tc.behind), received)
		if follows := id == FirstRequestID(w.Ref(), ev.ID, received); follows != tc.follows || !IDTime(id).Equal(received) {
			t.Errorf("%s: the id follows: %t, its time is %s", name, follows, IDTime(id))
		}
	}
}
