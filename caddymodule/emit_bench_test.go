package caddymodule

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// nobody is a client that does not look.
type nobody struct{ header http.Header }

func (n nobody) Header() http.Header         { return n.header }
func (n nobody) Write(p []byte) (int, error) { return len(p), nil }
func (n nobody) WriteHeader(int)             {}

// BenchmarkWebhooksEmit measures what webhooks_emit adds to a request whose answer is JSON of
// 500 bytes. What "emits" takes includes storing the event.
func BenchmarkWebhooksEmit(b *testing.B) {
	a := startedApp(b)
	body := []byte(`{"a":"` + strings.Repeat("x", 492) + `"}`)
	for _, c := range []struct {
		name   string
		form   Emit
		status int
	}{
		{"another status", Emit{EventType: "device_created"}, 404},
		{"no header", Emit{FromHeader: "Webhook-Event"}, 200},
		{"copied", Emit{EventType: "device_created", Data: "response"}, 200},
		{"emits", Emit{EventType: "device_created"}, 200},
	} {
		b.Run(c.name, func(b *testing.B) {
			emit := resolved(b, a, c.form)
			next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(c.status)
				_, err := w.Write(body)
				return err
			})
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://localhost/", http.NoBody)
			if err != nil {
				b.Fatal(err)
			}
			var w http.ResponseWriter = nobody{make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				if c.name == "copied" { // all that is done in the request, but for the queue
					t := newEmitWriter(emit, w, r)
					_ = next.ServeHTTP(t, r)
					g := t.makeEvent()
					_, _, _ = g.prepare(r.Context(), a.api)
					gateway.unreserve(g.memory)
					t.returned, t.matches = true, false
					t.ended()
					continue
				}
				if err := emit.ServeHTTP(w, r, next); err != nil {
					b.Fatal(err)
				}
				for gateway.waiting.Load() > 10_000 {
					time.Sleep(time.Millisecond)
				}
			}
			for gateway.waiting.Load() > 0 {
				time.Sleep(time.Millisecond)
			}
		})
	}
}

// TestNoEventCostsNoMemory lets answers pass that are no events: they take no memory at all.
func TestNoEventCostsNoMemory(t *testing.T) {
	a := startedApp(t)
	for name, form := range map[string]Emit{
		"another status": {EventType: "device_created", On: []string{"201"}},
		"no header":      {FromHeader: "Webhook-Event"},
	} {
		emit := resolved(t, a, form)
		next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusOK)
			return nil
		})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		var w http.ResponseWriter = nobody{make(http.Header)}
		allocated := testing.AllocsPerRun(1000, func() {
			if err := emit.ServeHTTP(w, r, next); err != nil {
				t.Fatal(err)
			}
		})
		if allocated >= 1 { // a collection may empty the pool
			t.Errorf("%s: %v allocations", name, allocated)
		}
	}
}
