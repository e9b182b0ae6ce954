package api

import (
	"context"
	"errors"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
)

// TestStreamPing has a stream on which nothing happens that its client asked for: it
// pings, and tells the place behind what was passed over, in another way each time.
func TestStreamPing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := embedded.New(t.TempDir())
		if err := store.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		w := &delivery.Webhook{Tenant: "acme", ID: delivery.NewID(store.Now()), URL: "https://a.example/", Enabled: true}
		if err := store.CreateWebhook(t.Context(), w, delivery.MaxWebhooks); err != nil {
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
		time.Sleep(30 * time.Second)
		cancel()
		<-ended
		got := recorder.Body.String()
		told := regexp.MustCompile(`^event: start\nid: (\S+)\ndata: {}\n\n` + strings.Repeat(`id: (\S+)\n: ping\n\n`, 4) + `$`).FindStringSubmatch(got)
		if told == nil || told[1] != start {
			t.Fatalf("got\n%s", got)
		}
		for i, position := range told[2:] {
			if slices.Contains(told[1:2+i], position) {
				t.Errorf("ping %d shows that the place is the one before", i)
			}
			if n, want := follows(t, store, w.Tenant, position), max(0, 2-i); min(n, 1) != min(want, 1) {
				t.Errorf("behind ping %d there are %d requests", i, n)
			}
		}
	})
}

// follows counts the requests behind a place.
func follows(t *testing.T, store delivery.Store, tenant, position string) int {
	follower, err := store.Follow(t.Context(), tenant, position)
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	rows, err := follower.Next(ctx)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	return len(rows)
}
