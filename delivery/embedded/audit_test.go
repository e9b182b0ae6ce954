package embedded

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

func auditEntry(s *Store, tenant string) *delivery.AuditEntry {
	return &delivery.AuditEntry{
		Tenant: tenant, ID: delivery.NewID(s.Now()), By: "admin_token 1", Address: "192.0.2.1",
		Action: delivery.ActionWebhookChanged, WebhookID: uuid.New(), After: []byte(`{"url":"https://example.com/"}`),
	}
}

// wantAudits checks how many entries a tenant's audit log has.
func wantAudits(t *testing.T, s *Store, tenant string, want int) {
	t.Helper()
	page, err := s.AuditEntries(t.Context(), tenant, delivery.AuditFilter{Limit: 1000})
	if err != nil || len(page.Entries) != want {
		t.Errorf("the audit log of %s has %d entries, %v, want %d", tenant, len(page.Entries), err, want)
	}
}

// killedCopy copies what a killed process would leave.
func killedCopy(t *testing.T, s *Store) (folder string) {
	t.Helper()
	database, journal := abandon(t, s)
	return left(t, database, journal)
}

// withoutAudit makes a folder as the version before this bucket left it.
func withoutAudit(t *testing.T) (folder string) {
	t.Helper()
	s := newScene(t, 8)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(filepath.Join(s.folder, fileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket(auditBucket) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return s.folder
}

// TestAuditOfOldFiles writes to the audit log of files that have no bucket for it: those of
// layout 2, and those of the version before.
func TestAuditOfOldFiles(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]func(*testing.T) string{"layout 2": layout2, "layout 3": withoutAudit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := folder(t)
			if report, err := Check(t.Context(), folder); err != nil || len(report.Damages) > 0 {
				t.Fatalf("before: %+v, %v", report, err)
			}
			s := opened(t, newKilled(folder))
			wantAudits(t, s, "load-0", 0)
			if _, err := s.Sweep(t.Context(), 400*24*time.Hour); err != nil {
				t.Fatal(err)
			}
			for batch, err := range s.Export(t.Context()) {
				if err != nil || len(batch.Audits) > 0 {
					t.Errorf("exported %d entries, %v", len(batch.Audits), err)
				}
			}
			webhooks, version, err := storetest.Webhooks(t.Context(), s, "load-0")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.UpdateWebhook(t.Context(), webhooks[0], version, auditEntry(s, "load-0")); err != nil {
				t.Fatal(err)
			}
			for range 2 { // in the journal
				if err := s.WriteAuditEntry(t.Context(), auditEntry(s, "load-0")); err != nil {
					t.Fatal(err)
				}
			}
			again := killedCopy(t, s) // as a killed process leaves it
			if report, err := Check(t.Context(), again); err != nil || len(report.Damages) > 0 {
				t.Errorf("after: %+v, %v", report, err)
			}
			reopened := open(t, again)
			wantAudits(t, reopened, "load-0", 3)
		})
	}
}

// TestAuditUndone checks that what could not be written counts neither as written nor toward
// the bounds.
func TestAuditUndone(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if err := s.WriteAuditEntry(t.Context(), auditEntry(s, "acme")); err != nil {
		t.Fatal(err)
	}
	number, _ := s.tenantNumber("acme")
	before := *s.state.audits[number]
	err := s.write(together, func(tx *txn) error {
		if _, err := s.writeAudit(tx, s.state.tenants["acme"], auditEntry(s, "acme")); err != nil {
			return err
		}
		return errNotOpen
	})
	if after := *s.state.audits[number]; err == nil || after != before || before.entries != 1 {
		t.Errorf("%v, and the log counts %+v, before %+v", err, after, before)
	}
	wantAudits(t, s, "acme", 1)
}
