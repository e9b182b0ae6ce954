package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// encryptionHealth is what admins learn from health.
type encryptionHealth struct {
	Status     string `json:"status"`
	Encryption *struct {
		KeyID           string `json:"key_id"`
		Done            bool   `json:"done"`
		WebhooksChecked int    `json:"webhooks_checked"`
	} `json:"encryption"`
}

// keyID is the id of the key that encrypts, once all secrets are encrypted with it.
func (s *caddySite) keyID() (id string) {
	s.t.Helper()
	eventually(s.t, "all secrets to be encrypted", func() bool {
		got := s.admin(http.MethodGet, "api/health", "")
		var health encryptionHealth
		if got.status != http.StatusOK {
			return false
		}
		got.want(s.t, http.StatusOK, &health)
		if e := health.Encryption; e == nil || !e.Done || e.WebhooksChecked != 1 {
			return false
		}
		id = health.Encryption.KeyID
		return true
	})
	return id
}

// TestEncryptionKey gives a site its first key, changes that by reloads, and takes it away.
func TestEncryptionKey(t *testing.T) {
	for i, name := range []string{"OLD", "NEW"} {
		t.Setenv("ENCRYPTION_TEST_"+name, strings.Repeat(fmt.Sprintf("%02x", i+1), 32))
	}
	redis := redistest.Start(t)
	for name, store := range map[string]string{"embedded": "embedded " + t.TempDir(), "redis": "redis redis://" + redis.Addr} {
		t.Run(name, func(t *testing.T) {
			endpoint := newReceiver(t)
			with := func(keys string) siteConfig {
				if keys != "" {
					keys = "encryption_key " + keys + "\n"
				}
				return siteConfig{webhooks: endpoint.configOf(store) + keys, more: "metrics /metrics"}
			}
			s := startSite(t, with(""))
			s.ready()
			s.admin(http.MethodPost, "api/webhooks", `{"url":"`+endpoint.URL+`","secret":"`+secret+`"}`).want(t, http.StatusCreated, nil)
			delivered := func() {
				t.Helper()
				s.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
				if got := endpoint.next(t); got.header.Get("X-Level-Signature") != signature(got.body) {
					t.Errorf("signed %q", got.header.Get("X-Level-Signature"))
				}
			}
			delivered()
			s.wantWarnings(1)
			ids := make(map[string]bool)
			for _, keys := range []string{"{env.ENCRYPTION_TEST_OLD}", "{env.ENCRYPTION_TEST_NEW} {env.ENCRYPTION_TEST_OLD}", "{env.ENCRYPTION_TEST_NEW}"} {
				if err := s.load(with(keys)); err != nil {
					t.Fatal(err)
				}
				ids[s.keyID()] = true
				delivered()
			}
			if len(ids) != 2 {
				t.Errorf("the keys have the ids %v", ids)
			}
			if got := s.do(http.MethodGet, "/hooks/api/health", ""); strings.Contains(string(got.body), "encryption") {
				t.Errorf("anybody learns %s", got.body)
			}
			if metrics := scrapeText(t, "http://"+s.addr+"/metrics"); !strings.Contains(string(metrics), "caddy_webhooks_secrets_encrypted 1\n") {
				t.Errorf("the metrics are %s", metrics)
			}
			s.withoutKey(with(""), with("{env.ENCRYPTION_TEST_NEW}"))
			delivered()
			s.wantWarnings(2) // after another start
		})
	}
}

// withoutKey loads a configuration that lacks the key, after which health says so until
// another one has it.
func (s *caddySite) withoutKey(without, with siteConfig) {
	s.t.Helper()
	if err := s.load(without); err != nil {
		s.t.Fatal(err)
	}
	stopSite(s.t)
	if err := s.load(without); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "health to name the key", func() bool {
		got := s.admin(http.MethodGet, "api/health", "")
		return got.status == http.StatusServiceUnavailable && strings.Contains(string(got.body), "a webhook's secret is encrypted with a key that is not configured: key id ")
	})
	s.emit(`{"event_type":"group_created","data":{}}`).wantProblem(s.t, http.StatusServiceUnavailable)
	if err := s.load(with); err != nil {
		s.t.Fatal(err)
	}
	s.ready()
}

// wantWarnings checks how often the log warns of secrets in clear.
func (s *caddySite) wantWarnings(n int) {
	s.t.Helper()
	log, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := strings.Count(string(log), "secrets of webhooks are stored in clear"); got != n {
		s.t.Errorf("the log warns %d times", got)
	}
}

// TestCopyWithKeys copies between stores that encrypt, and that do not.
func TestCopyWithKeys(t *testing.T) {
	key := strings.Repeat("01", 32)
	t.Setenv("ENCRYPTION_TEST_OLD", key)
	folder := filepath.Join(t.TempDir(), "first")
	endpoint := newReceiver(t)
	s := startSite(t, siteConfig{webhooks: endpoint.configOf("embedded "+folder) + "encryption_key {env.ENCRYPTION_TEST_OLD}\n"})
	s.ready()
	s.admin(http.MethodPost, "api/webhooks", `{"url":"`+endpoint.URL+`","secret":"`+secret+`"}`).want(t, http.StatusCreated, nil)
	stopSite(t)

	plain, encrypted := "embedded "+t.TempDir(), "embedded "+t.TempDir()
	wantRefused(t, "is encrypted with a key that is not configured", "--from", "embedded "+folder, "--to", plain, "--with-secrets")
	wantRefused(t, "--to-key: a key must be 32 bytes", "--from", "embedded "+folder, "--to", plain, "--to-key", "short")
	wantRefused(t, "--from-key: a key is empty", "--from", "embedded "+folder, "--to", plain, "--from-key", "{env.ENCRYPTION_TEST_UNSET}")
	lines := []string{"webhooks                       1           1"}
	wantCopied(t, lines, "--from", "embedded "+folder, "--to", plain, "--with-secrets", "--from-key", "{env.ENCRYPTION_TEST_OLD}")
	wantCopied(t, lines, "--from", plain, "--to", encrypted, "--with-secrets", "--to-key", strings.Repeat("02", 32), "--to-key", "{env.ENCRYPTION_TEST_OLD}")
	for store, want := range map[string]bool{plain: true, encrypted: false} {
		content, err := os.ReadFile(filepath.Join(strings.TrimPrefix(store, "embedded "), "webhooks.db"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(content), secret); got != want {
			t.Errorf("that %s has the secret in clear is %t", store, got)
		}
	}
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
}
