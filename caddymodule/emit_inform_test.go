package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// headWriter keeps the headers with each status.
type headWriter struct {
	header http.Header
	heads  []http.Header
}

func (w *headWriter) Header() http.Header         { return w.header }
func (w *headWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *headWriter) WriteHeader(int)             { w.heads = append(w.heads, w.header.Clone()) }

// TestEmitAfterEarlyHints has a handler name the event before it sends early hints: the answer is
// an event, and the client sees nothing of it in either.
func TestEmitAfterEarlyHints(t *testing.T) {
	types, err := api.NewEventTypes(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &Emit{FromHeader: defaultEmitHeader, app: &App{types: types}}
	if err := e.resolve(caddy.NewReplacer()); err != nil {
		t.Fatal(err)
	}
	w := &headWriter{header: make(http.Header)}
	answer := newEmitWriter(e, w, httptest.NewRequest(http.MethodGet, "/", nil))
	answer.Header().Set("Webhook-Event", "device_created")
	answer.Header().Set("Webhook-Event-Id", "7")
	answer.Header().Set("Link", "</style.css>")
	answer.WriteHeader(http.StatusEarlyHints)
	answer.WriteHeader(http.StatusNoContent)
	if answer.eventType != "device_created" || answer.headerID != "7" || !answer.matches {
		t.Errorf("the event is %q with the id %q", answer.eventType, answer.headerID)
	}
	if len(w.heads) != 2 {
		t.Fatalf("%d heads", len(w.heads))
	}
	for _, head := range w.heads {
		if len(head) != 1 || head.Get("Link") == "" {
			t.Errorf("the client sees %v", head)
		}
	}
}
