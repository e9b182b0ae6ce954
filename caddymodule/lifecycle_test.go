package caddymodule_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestStoreAway starts while Redis is away.
func TestStoreAway(t *testing.T) {
	redis := redistest.Start(t)
	redis.Kill()
	s := startSite(t, siteConfig{webhooks: "store redis redis://:hush@" + redis.Addr})
	if got := s.do(http.MethodGet, "/beside", ""); string(got.body) != "beside" {
		t.Errorf("the site beside: %d %s", got.status, got.body)
	}
	for _, got := range []reply{
		s.emit(`{"event_type":"group_created","data":{}}`),
		s.admin(http.MethodGet, "api/webhooks", ""),
		s.do(http.MethodGet, "/hooks/api/health", ""),
	} {
		got.wantProblem(t, http.StatusServiceUnavailable)
		if got.header.Get("Retry-After") == "" {
			t.Error("there is no Retry-After")
		}
		if strings.Contains(string(got.body), redis.Addr) {
			t.Errorf("the store's address in %s", got.body)
		}
	}
	eventually(t, "health to say why", func() bool {
		got := s.admin(http.MethodGet, "api/health", "")
		return got.status == http.StatusServiceUnavailable && strings.Contains(got.wantProblem(t, 503).Detail, "refused")
	})
	// Not valid is not valid, whatever the store does.
	s.emit(`{}`).wantProblem(t, http.StatusUnprocessableEntity)

	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := s.load(siteConfig{webhooks: "store redis redis://" + redis.Addr + "/1"}); err != nil { // another database, another store
		t.Fatal(err)
	}
	s.ready()
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
}

// TestRollback loads a configuration that cannot start: the one before goes on,
// with its own settings.
func TestRollback(t *testing.T) {
	redis := redistest.Start(t)
	endpoint := newReceiver(t)
	config := siteConfig{webhooks: endpoint.config(redis.Addr)}
	s := startSite(t, config)
	s.subscribe(endpoint)

	for range 3 {
		s.loadInVain(siteConfig{webhooks: endpoint.config(redis.Addr) + "standard_webhooks\n"})
	}
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
	if got := endpoint.next(t); got.header.Get("Webhook-Id") != "" {
		t.Error("the settings of the broken configuration are in force")
	}
}

// TestProvisionErrors loads configurations that are refused.
func TestProvisionErrors(t *testing.T) {
	s := &caddySite{t: t, addr: freeAddr(t), log: t.TempDir() + "/log"}
	for want, c := range map[string]siteConfig{
		"emit_token is empty":       {webhooks: "store redis redis://localhost:1", handler: "emit_token {env.WEBHOOKS_TEST_UNSET}"},
		"admin_token is empty":      {webhooks: "store redis redis://localhost:1", handler: "admin_token {file./does/not/exist}"},
		"tenant is empty":           {webhooks: "store redis redis://localhost:1", handler: "tenant {env.WEBHOOKS_TEST_UNSET}"},
		"store redis: URL is empty": {webhooks: "store redis {env.WEBHOOKS_TEST_UNSET}"},
		"trusted_ca: open":          {webhooks: "store redis redis://localhost:1\ndestinations {\ntrusted_ca /does/not/exist\n}"},
	} {
		err := caddy.Validate(config(t, s.caddyfile(c)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// TestValidate touches no store: there is none.
func TestValidate(t *testing.T) {
	s := &caddySite{t: t, addr: freeAddr(t), log: t.TempDir() + "/log"}
	before := runtime.NumGoroutine()
	for range 3 {
		if err := caddy.Validate(config(t, s.caddyfile(siteConfig{webhooks: "store redis redis://192.0.2.1:1"}))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+5 })
}

// config parses a Caddyfile as Caddy's commands do.
func config(t *testing.T, caddyfile string) *caddy.Config {
	t.Helper()
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(adaptFile(t, caddyfile), cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}
