package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestEraseOrdered erases events that wait in a queue, and whose order keys come of their data: the one
// that is first, and one behind it. The others go on in their order.
func TestEraseOrdered(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	call := newCall(s, w, 5, 10, false)
	for i := range call.Events {
		e := &call.Events[i]
		e.Targets[0].Order = delivery.OrderKey([]byte(hush + ", hush"))
		if i == 3 {
			e.ID = uuid.New()
		}
	}
	mustAccept(t, s, call)
	erase := func(i int) {
		t.Helper()
		if err := s.EraseEvent(t.Context(), testTenant, call.Events[i].ID); err != nil {
			t.Fatal(err)
		}
	}
	wantDue := func(events ...int) {
		t.Helper()
		jobs := claim(t, s)
		if err := countJobs(jobs, len(events)); err != nil {
			t.Fatal(err)
		}
		for n, i := range events {
			if jobs[n].Event.ID != call.Events[i].ID {
				t.Errorf("another event is due than %d", i)
			}
		}
	}
	wantDue(0)
	erase(0) // which is in flight
	wantDue(1)
	erase(3) // which waits
	wantDue()
	erase(1)
	wantDue(2)
	erase(4)
	erase(2)
	wantDue()
	wantHushed(t, s)
	base := s.keys.base(0)
	for _, key := range []string{"queue:" + refText(w.Ref()), "ordered:" + refText(w.Ref()), "pending:" + refText(w.Ref()), "erasing"} {
		if s.client().Exists(t.Context(), base+key).Val() != 0 {
			t.Errorf("there is still the key %s", key)
		}
	}
	for _, entry := range s.client().XRange(t.Context(), endedKey(base), "-", "+").Val() {
		if strings.Contains(fmt.Sprint(entry), hush) {
			t.Errorf("the stream has %v", entry)
		}
	}
}
