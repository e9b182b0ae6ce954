package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestStrictMemory counts all that an answer keeps while it waits: the body, and how it was written.
func TestStrictMemory(t *testing.T) {
	a := startedApp(t)
	emit := resolved(t, a, Emit{EventType: "device_created", Strict: true})
	var kept int64
	record(caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return emit.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("X-Long", strings.Repeat("h", 5000))
			for range 1000 {
				_, _ = io.WriteString(w, "s")
			}
			kept = gateway.reserved.Load()
			return nil
		}))
	}), false, false)
	if least := int64(5000 + 1000 + 1000*stepWeight); kept < least {
		t.Errorf("%d bytes are counted, of at least %d", kept, least)
	}
	if n := gateway.reserved.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

// TestStrictMemoryFull answers 502 where there is no memory for what strict keeps, which is more than
// came: what is decoded, and what is written in many small parts.
func TestStrictMemoryFull(t *testing.T) {
	a := startedApp(t)
	gateway.limit.Store(64 << 10)
	defer gateway.limit.Store(defaultQueueSize)
	packed := gzipped(t, `{"x":"`+strings.Repeat("x", 100<<10)+`"}`)
	for name, answer := range map[string]func(w http.ResponseWriter){
		"decoded": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed)
		},
		"wrapped": func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat(`"`, 22<<10)) },
		"steps": func(w http.ResponseWriter) {
			for range 30 << 10 {
				_, _ = io.WriteString(w, "s")
			}
		},
		"head": func(w http.ResponseWriter) {
			w.Header().Set("X-Long", strings.Repeat("h", 65<<10))
			_, _ = io.WriteString(w, "{}")
		},
	} {
		emit := resolved(t, a, Emit{EventType: "device_created", Strict: true})
		calls := record(caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			return emit.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				answer(w)
				return nil
			}))
		}), false, false)
		if text := strings.Join(calls, "\n"); !strings.Contains(text, "status 502") {
			t.Errorf("%s: the client sees\n%.300s", name, text)
		}
		if n := gateway.reserved.Load(); n != 0 {
			t.Errorf("%s: %d bytes are still counted", name, n)
		}
	}
}
