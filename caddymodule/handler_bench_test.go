package caddymodule_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
)

// BenchmarkHandler emits events of some 500 bytes, one or a hundred in a call, through the
// handler. Nothing is sent and the store keeps nothing: what is measured is this module's
// own part in taking an event in. It reports the CPU time of all threads, in ns, which
// other work on the machine disturbs less than the time that passes.
func BenchmarkHandler(b *testing.B) {
	event := fmt.Sprintf(`{"event_type":"alert_active","data":{"text":"%0400d"}}`, 0)
	for _, events := range []int{1, 100} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			body := event
			if events > 1 {
				body = "[" + strings.Repeat(event+",", events-1) + event + "]"
			}
			benchmarkCalls(b, newBenchHandler(b), body)
		})
	}
}

func benchmarkCalls(b *testing.B, h *caddymodule.Handler, body string) {
	content := strings.NewReader(body)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/hooks/api/events", io.NopCloser(content))
	r.ContentLength = content.Size()
	r.Header.Set("Authorization", "Bearer emitter")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Tenant", "tenant")
	w := &benchWriter{header: make(http.Header)}
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
	r.URL.Path = "/api/events" // as handle_path leaves it
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		content.Reset(body)
		clear(w.header)
		w.body.Reset()
		if err := h.ServeHTTP(w, r, nil); err != nil || w.status != http.StatusAccepted {
			b.Fatal(err, w.status, w.body.String())
		}
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// newBenchHandler makes a handler of a Caddy that runs in this process.
func newBenchHandler(b *testing.B) *caddymodule.Handler {
	config := `{"admin":{"disabled":true},"logging":{"logs":{"default":{"level":"ERROR"}}},` +
		`"apps":{"webhooks":{"store":{"module":"accepting"}}}}`
	if err := caddy.Load([]byte(config), true); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			b.Error(err)
		}
	})
	h := &caddymodule.Handler{EmitTokens: []caddymodule.Token{{Token: "emitter"}}, AdminTokens: []caddymodule.Token{{Token: "admin"}}, Tenant: "{http.request.header.X-Tenant}"}
	if err := h.Provision(caddy.ActiveContext()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := h.Cleanup(); err != nil {
			b.Error(err)
		}
	})
	return h
}

func init() {
	caddy.RegisterModule(accepting{})
}

// accepting is a store that accepts all events and keeps none.
type accepting struct{ *memory.Store }

func (accepting) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "webhooks.stores.accepting", New: func() caddy.Module { return new(accepting) }}
}
func (accepting) Identity() string                             { return "accepting" }
func (accepting) NewStore(*zap.Logger) (delivery.Store, error) { return accepting{memory.New()}, nil }
func (accepting) Use(delivery.Store)                           {}

func (accepting) Accept(_ context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	results := make([]delivery.Accepted, len(batch.Calls))
	for i := range results {
		results[i].Events = make([]delivery.AcceptedEvent, len(batch.Calls[i].Events))
	}
	return results
}

// benchWriter takes a response.
type benchWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *benchWriter) Header() http.Header               { return w.header }
func (w *benchWriter) WriteHeader(status int)            { w.status = status }
func (w *benchWriter) Write(content []byte) (int, error) { return w.body.Write(content) }

// cpuTime is what all threads of this process have had of the CPUs.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
