package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// BenchmarkVerifyHandler lets requests of 500 bytes through, each a message of its own, with a
// store in memory: what is measured is this module's own part, in ns of the CPUs.
func BenchmarkVerifyHandler(b *testing.B) {
	newBenchHandler(b)
	const secret = "secret"
	config, err := json.Marshal(&caddymodule.Verify{Scheme: "github", Secrets: []string{secret}})
	if err != nil {
		b.Fatal(err)
	}
	module, err := caddy.ActiveContext().LoadModuleByID("http.handlers.webhook_verify", config)
	if err != nil {
		b.Fatal(err)
	}
	h, ok := module.(*caddymodule.Verify)
	if !ok {
		b.Fatalf("got a %T", module)
	}
	body := strings.Repeat("x", 500)
	content := strings.NewReader(body)
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	w := &benchWriter{header: make(http.Header)}
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", io.NopCloser(content))
	r.ContentLength = content.Size()
	r.Header.Set("X-Hub-Signature-256", delivery.Signature(secret, []byte(body)))
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
	b.ReportAllocs()
	before, n := cpuTime(b), 0
	for b.Loop() {
		n++
		content.Reset(body)
		r.Body = io.NopCloser(content)
		r.Header.Set("X-GitHub-Delivery", fmt.Sprint(n))
		w.status = 0
		if err := h.ServeHTTP(w, r, next); err != nil || w.status != http.StatusNoContent {
			b.Fatal(err, w.status, w.body.String())
		}
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}
