package redis

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestEraseAfterBrokenOff has an erasure and complete.lua break off at each kind of key that they write,
// one after the other. Nobody repeats the outcome, as after the end of its process: whatever was written
// of it, the erasure finds its body, at the latest when Sweep goes on with it.
func TestEraseAfterBrokenOff(t *testing.T) {
	t.Parallel()
	for name, ending := range endings {
		for _, kind := range []string{"erasing", "events", "bodies", "requests", "deliveries", "pending", "leases", "leased"} {
			for order, eraseFirst := range map[string]bool{"erased first": true, "erased last": false} {
				t.Run(name+"/"+kind+"/"+order, func(t *testing.T) {
					t.Parallel()
					b := newBreakable(t, nil)
					w := addWebhook(t, b.s, "own")
					call := newCall(b.s, w, 1, 10, ending.leased)
					call.Events[0].Payload = []byte(`{"says":"` + hush + `"}`)
					accepted := mustAccept(t, b.s, call)
					o := success(b.s, w, &call.Events[0], &accepted)
					o.Request.ResponseBody = hush
					ending.change(b.s, &o)

					b.denyKind(kind, true)
					if eraseFirst {
						_ = b.s.EraseEvent(t.Context(), "own", call.Events[0].ID)
					}
					_ = errors.Join(b.s.Complete(t.Context(), []delivery.Outcome{o})...)
					if !eraseFirst {
						_ = b.s.EraseEvent(t.Context(), "own", call.Events[0].ID)
					}
					b.set("~" + b.s.keys.prefix + ":*")
					b.erased("own", call.Events[0].ID)
				})
			}
		}
	}
}

// erased has an erasure come to its end, which its caller repeats only if it has not begun.
func (b *breakable) erased(tenant string, id uuid.UUID) {
	b.Helper()
	sweepAll(b.T, b.s)
	e, _, err := b.s.Event(b.Context(), tenant, id)
	if err == nil && !e.Erased {
		err = b.s.EraseEvent(b.Context(), tenant, id)
	}
	if err != nil {
		b.Fatal(err)
	}
	wantHushed(b.T, b.s)
}
