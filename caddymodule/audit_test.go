package caddymodule_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type auditEntry struct {
	By      string `json:"by"`
	Address string `json:"address"`
	Action  string `json:"action"`
	After   struct {
		URL string `json:"url"`
	} `json:"after"`
}

// audits reads the audit log.
func (s *caddySite) audits() []auditEntry {
	s.t.Helper()
	var page struct{ Data []auditEntry }
	got := s.admin("GET", "api/audit", "")
	if got.status != 200 {
		s.t.Fatalf("got %d: %s", got.status, got.body)
	}
	if err := json.Unmarshal(got.body, &page); err != nil {
		s.t.Fatal(err)
	}
	return page.Data
}

// TestAudit has admins of each kind change something: the audit log says who it was, and from
// where, and Caddy's log does in a file of its own.
func TestAudit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	c := siteConfig{
		webhooks: "store embedded " + t.TempDir() + "\naudit",
		handler:  "emit_token " + emitToken + "\nadmin_token first-of-the-tokens\nadmin_token " + adminToken + "\nadmin_user {header.Remote-User}",
		global: "servers {\ntrusted_proxies static 127.0.0.0/8\n}\n" +
			"log audit {\noutput file " + file + "\ninclude webhooks.audit\n}",
	}
	s := startSite(t, c)
	s.ready()
	long := strings.Repeat("ü", 200)
	for _, who := range []struct {
		by, address string
		headers     []string
	}{
		{"admin_token 2", "127.0.0.1", []string{"Authorization", "Bearer " + adminToken}},
		{"admin_token 1", "203.0.113.9", []string{"Authorization", "bearer first-of-the-tokens", "X-Forwarded-For", "203.0.113.9"}},
		{"admin_token 2", "2001:db8::9", []string{"Authorization", asBasic("somebody", adminToken), "X-Forwarded-For", "2001:db8::9"}},
		{"alice", "127.0.0.1", []string{"Remote-User", "alice", "X-Forwarded-For", "nonsense"}},
		{long[:256] + "…", "127.0.0.1", []string{"Remote-User", long}},
	} {
		s.do("POST", "/hooks/api/webhooks", `{"url":"https://example.com/`+who.address+`","secret":"`+secret+`"}`, who.headers...).want(t, 201, nil)
		if got := s.audits()[0]; got.By != who.by || got.Address != who.address || got.Action != "webhook_created" || got.After.URL != "https://example.com/"+who.address {
			t.Errorf("%s from %s is %+v", who.by, who.address, got)
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(lines) != 5 || strings.Contains(string(raw), secret) || strings.Contains(string(raw), adminToken) {
		t.Fatalf("the log has %d lines, want 5, without secrets:\n%s", len(lines), raw)
	}
	var line struct{ Level, Logger, Msg, By, Address, Action, Tenant string }
	if err := json.Unmarshal([]byte(lines[1]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Level != "info" || line.Logger != "webhooks.audit" || line.Msg != "webhook created" || line.By != "admin_token 1" ||
		line.Address != "203.0.113.9" || line.Action != "webhook_created" || line.Tenant != "default" {
		t.Errorf("the line is %+v", line)
	}

	// A reload without the option switches it off, and one with it shows what there was.
	c.webhooks = strings.TrimSuffix(c.webhooks, "audit")
	if err := s.load(c); err != nil {
		t.Fatal(err)
	}
	s.admin("POST", "api/webhooks", `{"url":"https://example.com/"}`).want(t, 201, nil)
	s.admin("GET", "api/audit", "").want(t, 404, nil)
	c.webhooks += "audit"
	if err := s.load(c); err != nil {
		t.Fatal(err)
	}
	if n := len(s.audits()); n != 5 {
		t.Errorf("there are %d entries, want 5", n)
	}
}

// TestAuditInsecure checks that without authentication the audit log says so.
func TestAuditInsecure(t *testing.T) {
	s := startSite(t, siteConfig{webhooks: "store embedded " + t.TempDir() + "\naudit", handler: "insecure_no_auth"})
	s.ready()
	s.do("POST", "/hooks/api/webhooks", `{"url":"https://example.com/"}`).want(t, 201, nil)
	if all := s.audits(); len(all) != 1 || all[0].By != "insecure_no_auth" {
		t.Errorf("the entries are %+v", all)
	}
}
