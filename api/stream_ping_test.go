package api

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
)

// TestStreamPing has a stream on which nothing happens that its client asked for: it
// pings, and tells the place behind what was passed over.
func TestStreamPing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := embedded.New(t.TempDir())
		if err := store.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		w := &delivery.Webhook{Tenant: "acme", ID: delivery.NewID(store.Now()), URL: "https://a.example/", Enabled: true}
		if err := store.CreateWebhook(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		follower, err := store.Follow(t.Context(), w.Tenant, "")
		if err != nil {
			t.Fatal(err)
		}
		start := follower.Position()
		ctx, cancel := context.WithCancel(t.Context())
		s := &stream{follower: follower, serving: t.Context(), inForce: ctx, chosen: func(*delivery.Request) bool { return false }}
		recorder := httptest.NewRecorder()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
		}()

		time.Sleep(31 * time.Second)
		err = errors.Join(store.Complete(t.Context(), []delivery.Outcome{{Request: delivery.Request{
			Tenant: w.Tenant, ID: delivery.NewID(store.Now()), WebhookID: w.ID, EventID: delivery.NewID(store.Now()), EventType: "x",
			Trigger: delivery.TriggerRerun, Status: delivery.RequestSuccess,
		}}})...)
		if err != nil {
			t.Fatal(err)
		}
		last, err := store.Follow(t.Context(), w.Tenant, "")
		if err != nil {
			t.Fatal(err)
		}
		last.Close()
		time.Sleep(30 * time.Second)
		cancel()
		<-ended
		want := "event: start\nid: " + start + "\ndata: {}\n\n" + strings.Repeat(": ping\n\n", 2) +
			"id: " + last.Position() + "\n" + strings.Repeat(": ping\n\n", 2)
		if got := recorder.Body.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}
