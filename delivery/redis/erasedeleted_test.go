package redis

import (
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestEraseDeleted erases events some of whose webhooks were deleted, or have lost their states: the
// rows that nobody may see any more have no bodies either, before Sweep removes them.
func TestEraseDeleted(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *Store, w *delivery.Webhook) error{
		"deleted": func(s *Store, w *delivery.Webhook) error { return s.DeleteWebhook(t.Context(), w.Ref()) },
		"state lost": func(s *Store, w *delivery.Webhook) error {
			return s.client().HDel(t.Context(), stateKey(s.keys.base(0)), refText(w.Ref())).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, options())
			s.work = 10 // so that it takes several scripts
			gone, stays := addWebhook(t, s, testTenant), addWebhook(t, s, testTenant)
			atOnce := newCall(s, gone, 1, 10, true)
			accepted := mustAccept(t, s, atOnce)
			first := success(s, gone, &atOnce.Events[0], &accepted)
			first.Request.ID = delivery.FirstRequestID(gone.Ref(), atOnce.Events[0].ID, accepted.At)
			first.Request.ResponseBody = hush
			for _, err := range s.Complete(t.Context(), []delivery.Outcome{first}) {
				if err != nil {
					t.Fatal(err)
				}
			}
			e, _ := hushed(t, s, gone, stays)
			if err := change(s, gone); err != nil {
				t.Fatal(err)
			}
			for _, id := range []delivery.AcceptEvent{*e, atOnce.Events[0]} {
				if err := s.EraseEvent(t.Context(), testTenant, id.ID); err != nil {
					t.Fatal(err)
				}
			}
			wantHushed(t, s)
		})
	}
}
