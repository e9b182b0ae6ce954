package redis

import (
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestUntriedAmongLeases reads what of a webhook has not been attempted while many leases of another
// one end at many times: each script looks at some of these, and the next one goes on.
func TestUntriedAmongLeases(t *testing.T) {
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}, KeyPrefix: "steps"})
	other, w := addWebhook(t, s, testTenant), addWebhook(t, s, testTenant)
	for i := range 100 {
		call := newCall(s, other, 3, 10, true)
		batch := delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: testLease + time.Duration(i)*time.Second, Retention: testRetention}
		if result := s.Accept(t.Context(), batch)[0]; result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	mustAccept(t, s, newCall(s, w, 2, 10, true))
	mustAccept(t, s, newCall(s, w, 3, 10, false))
	read := func(hook *delivery.Webhook) (n int) {
		for after := ""; ; {
			page, err := s.Untried(t.Context(), hook.Ref(), after)
			if err != nil {
				t.Fatal(err)
			}
			if n += len(page.Deliveries); page.Next == "" {
				return n
			}
			after = page.Next
		}
	}
	s.work = 20
	if most := mostCommands(t, s, func() error {
		if n := read(w); n != 5 {
			t.Errorf("%d deliveries have not been attempted, want 5", n)
		}
		return nil
	}); most == 0 || most > 3*s.work {
		t.Errorf("a script runs %d commands", most)
	}
	if n := read(other); n != 300 {
		t.Errorf("%d deliveries of the other webhook have not been attempted, want 300", n)
	}
}
