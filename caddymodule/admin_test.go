package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestAdminEndpoint asks Caddy's admin endpoint about webhooks: while they work and while the store
// is away, over a reload that takes them away, and after one that brings them back.
func TestAdminEndpoint(t *testing.T) {
	redis := redistest.Start(t)
	s := &caddySite{t: t, addr: freeAddr(t), log: t.TempDir() + "/caddy.log"}
	admin := freeAddr(t)
	load := func(c siteConfig) {
		t.Helper()
		if err := caddy.Load(adaptFile(t, strings.Replace(s.caddyfile(c), "admin off", "admin "+admin, 1)), true); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(method, path string) reply {
		t.Helper()
		return do(t, method, "http://"+admin+"/webhooks/"+path, "")
	}
	with := siteConfig{webhooks: "store redis redis://" + redis.Addr}
	load(with)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	healthy := func() bool {
		got := ask(http.MethodGet, "health")
		return got.status == http.StatusOK && string(got.body) == `{"status":"ok"}`+"\n"
	}
	eventually(t, "health", healthy)
	if got := ask(http.MethodHead, "health"); got.status != http.StatusOK {
		t.Errorf("HEAD: %d", got.status)
	}
	got := ask(http.MethodGet, "info")
	var info struct {
		Version, Store string
		Counts         map[string]*int64
	}
	got.want(t, http.StatusOK, &info)
	if info.Version == "" || !strings.Contains(info.Store, "redis at "+redis.Addr) || *info.Counts["partitions"] != 1 || *info.Counts["deliveries_pending"] != 0 {
		t.Errorf("the info is %s", got.body)
	}
	wantReadOnly(t, ask)

	redis.Kill()
	eventually(t, "health to say that the store is away", func() bool {
		got := ask(http.MethodGet, "health")
		var why map[string]string
		if got.status != http.StatusServiceUnavailable {
			return false
		}
		if err := json.Unmarshal(got.body, &why); err != nil || why["error"] == "" || got.header.Get("Retry-After") != "5" {
			t.Errorf("health is %s, %v", got.body, got.header)
		}
		return true
	})
	wantUnknownPending(t, ask)

	load(siteConfig{noApp: true})
	wantNoWebhooks(t, ask)
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	load(with)
	eventually(t, "health after a reload", healthy)
}

// wantReadOnly fails the test unless both paths refuse to change anything.
func wantReadOnly(t *testing.T, ask func(method, path string) reply) {
	t.Helper()
	for _, path := range []string{"health", "info"} {
		for _, method := range []string{http.MethodPost, http.MethodDelete} {
			if got := ask(method, path); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow: %q", method, path, got.status, got.header.Get("Allow"))
			}
		}
	}
}

// wantNoWebhooks fails the test unless both paths say that the configuration has none.
func wantNoWebhooks(t *testing.T, ask func(method, path string) reply) {
	t.Helper()
	for _, path := range []string{"health", "info"} {
		if got := ask(http.MethodGet, path); got.status != http.StatusNotFound || !strings.Contains(string(got.body), "has no webhooks") {
			t.Errorf("without webhooks, %s: %d %s", path, got.status, got.body)
		}
	}
}

// wantUnknownPending reads the info while the store is away.
func wantUnknownPending(t *testing.T, ask func(method, path string) reply) {
	t.Helper()
	got := ask(http.MethodGet, "info")
	var info struct {
		Version, Store string
		Counts         map[string]*int64
	}
	got.want(t, http.StatusOK, &info)
	if n, ok := info.Counts["deliveries_pending"]; !ok || n != nil {
		t.Errorf("without the store, the info is %s", got.body)
	}
}
