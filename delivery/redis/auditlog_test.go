package redis

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// auditEntry makes an entry that was written some time ago.
func auditEntry(s *Store, tenant string, age time.Duration) *delivery.AuditEntry {
	return &delivery.AuditEntry{
		Tenant: tenant, ID: delivery.NewID(s.Now().Add(-age)), By: "admin_token 1", Address: "192.0.2.1",
		Action: delivery.ActionWebhookCreated, WebhookID: uuid.New(), After: []byte(`{"url":"https://example.com/"}`),
	}
}

// wantAudits reads a tenant's audit log, which must have entries with these ids, the newest
// first.
func wantAudits(t *testing.T, s *Store, tenant string, want ...*delivery.AuditEntry) {
	t.Helper()
	page, err := s.AuditEntries(t.Context(), tenant, delivery.AuditFilter{Limit: 100})
	if err != nil || len(page.Entries) != len(want) {
		t.Fatalf("%d entries, %v, want %d", len(page.Entries), err, len(want))
	}
	for i := range want {
		if page.Entries[i].ID != want[i].ID {
			t.Errorf("entry %d is %s, want %s", i, page.Entries[i].ID, want[i].ID)
		}
	}
}

// audited promises that an entry, which the store says it has written, can be read.
func (l *life) audited(entry *delivery.AuditEntry) {
	l.promise("it was written to the audit log", func() error {
		page, err := l.s.AuditEntries(l.Context(), entry.Tenant, delivery.AuditFilter{Limit: 100})
		for _, found := range page.Entries {
			if found.ID == entry.ID {
				return nil
			}
		}
		return fmt.Errorf("%s %s is not in the log of %d: %w", entry.Action, entry.ID, len(page.Entries), err)
	})
}

// TestAuditBytesLost has what is known of an audit log lost: it is counted again.
func TestAuditBytesLost(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	base := s.keys.base(0)
	first, second := auditEntry(s, testTenant, time.Minute), auditEntry(s, testTenant, 0)
	write := func(entry *delivery.AuditEntry) {
		t.Helper()
		if err := s.WriteAuditEntry(t.Context(), entry); err != nil {
			t.Fatal(err)
		}
	}
	write(first)
	write(second)
	want := s.client().HGet(t.Context(), base+"auditbytes", testTenant).Val()
	for _, lost := range []string{"missing", "garbage"} {
		s.client().ZRem(t.Context(), auditKey(base, testTenant), s.client().ZRange(t.Context(), auditKey(base, testTenant), -1, -1).Val())
		s.client().HSet(t.Context(), base+"auditbytes", testTenant, "garbage")
		if lost == "missing" {
			s.client().Del(t.Context(), base+"auditbytes", auditsKey(base))
		}
		write(second)
		if got := s.client().HGet(t.Context(), base+"auditbytes", testTenant).Val(); got != want || want == "" {
			t.Errorf("%s: there are %q bytes, want %q", lost, got, want)
		}
		if oldest := s.client().ZScore(t.Context(), auditsKey(base), testTenant).Val(); int64(oldest) != first.At().UnixMilli() {
			t.Errorf("%s: the oldest is of %f", lost, oldest)
		}
	}
	wantAudits(t, s, testTenant, second, first)
}

// TestAuditUnreadable checks that entries that cannot be read hide no others, and that the log
// says so.
func TestAuditUnreadable(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.ErrorLevel)
	o := options()
	o.Logger = zap.New(core)
	s := open(t, o)
	first, second := auditEntry(s, testTenant, time.Minute), auditEntry(s, testTenant, 0)
	bad := delivery.NewID(s.Now().Add(-time.Second))
	if err := s.WriteAuditEntry(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"x", string(bad[:]) + garbage} {
		s.client().ZAdd(t.Context(), auditKey(s.keys.base(0), testTenant), redis.Z{Member: member})
	}
	if err := s.WriteAuditEntry(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	wantAudits(t, s, testTenant, second, first)
	if said := logs.FilterField(zap.String("field", bad.String())).Len(); said != 1 {
		t.Errorf("the log says %d times that an entry cannot be read: %v", said, logs.All())
	}
	mustSweep(t, s, -time.Hour)
	if left := s.client().Exists(t.Context(), auditKey(s.keys.base(0), testTenant), auditsKey(s.keys.base(0)), s.keys.base(0)+"auditbytes").Val(); left != 0 {
		t.Errorf("%d keys are left", left)
	}
}

// TestAuditOfBrokenOffChanges denies each kind of key that changes of webhooks write. What was not
// changed has no entry, and what was has one.
func TestAuditOfBrokenOffChanges(t *testing.T) {
	t.Parallel()
	b := newBreakable(t, nil)
	const tenant = "audited"
	kept := auditEntry(b.s, tenant, time.Minute)
	if err := b.s.WriteAuditEntry(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	want := []*delivery.AuditEntry{kept}
	failed := 0
	for _, kind := range []string{"state", "webhooks", "changes", "gone", "due", "audit", "audits", "auditbytes"} {
		for name, change := range map[string]func(w *delivery.Webhook, entry *delivery.AuditEntry) error{
			"create": func(w *delivery.Webhook, entry *delivery.AuditEntry) error {
				other := *w
				other.ID = uuid.New()
				return b.s.CreateWebhook(t.Context(), &other, 1000, entry)
			},
			"update": func(w *delivery.Webhook, entry *delivery.AuditEntry) error {
				w.Description = entry.ID.String()
				return b.s.UpdateWebhook(t.Context(), w, version(b.s, tenant), entry)
			},
			"delete": func(w *delivery.Webhook, entry *delivery.AuditEntry) error {
				return b.s.DeleteWebhook(t.Context(), w.Ref(), entry)
			},
		} {
			b.allow()
			w := addWebhook(t, b.s, tenant)
			before := webhookRecords(b, tenant)
			b.denyKind(kind, true)
			entry := auditEntry(b.s, tenant, 0)
			err := change(w, entry)
			b.allow()
			if !maps.Equal(webhookRecords(b, tenant), before) {
				want = slices.Insert(want, 0, entry)
			} else if failed++; err == nil {
				t.Errorf("%s without %s says that it was made", name, kind)
			}
			wantAudits(t, b.s, tenant, want...)
		}
	}
	if failed < 10 {
		t.Errorf("only %d changes failed", failed)
	}
}

// webhookRecords are the records of a tenant's webhooks.
func webhookRecords(b *breakable, tenant string) map[string]string {
	records := b.root.HGetAll(b.Context(), webhooksKey(b.s.keys.base(0), tenant)).Val()
	delete(records, versionField)
	return records
}

// allow gives all rights back.
func (b *breakable) allow() { b.set("resetkeys", "~"+b.s.keys.prefix+":*", "+@all") }
