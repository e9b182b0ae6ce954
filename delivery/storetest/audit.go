package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// auditEntry makes an entry of the audit log and does not write it.
func (f *fixture) auditEntry(tenant string, webhook uuid.UUID) *delivery.AuditEntry {
	f.made++
	return &delivery.AuditEntry{
		Tenant: tenant, ID: delivery.NewID(f.store.Now()),
		By: fmt.Sprintf("☎ %d", f.made), Address: "2001:db8::1", Action: delivery.ActionWebhookChanged,
		WebhookID: webhook, Before: []byte(`{"url":"https://example.com"}`), After: fmt.Appendf(nil, `{"url":"https://example.com/%d"}`, f.made),
	}
}

func (f *fixture) writeAudit(entries ...*delivery.AuditEntry) {
	f.Helper()
	for _, entry := range entries {
		f.must(f.store.WriteAuditEntry(f.Context(), entry))
	}
}

// audits reads all of what a filter selects, page by page.
func (f *fixture) audits(tenant string, filter delivery.AuditFilter) (all []delivery.AuditEntry) {
	f.Helper()
	for {
		page, err := f.store.AuditEntries(f.Context(), tenant, filter)
		f.must(err)
		if len(page.Entries) > filter.Limit {
			f.Fatalf("a page has %d entries, more than %d", len(page.Entries), filter.Limit)
		}
		all = append(all, page.Entries...)
		if page.Next == uuid.Nil {
			return all
		}
		filter.Before = page.Next
	}
}

// wantAudits compares a tenant's audit log with entries in the order of their ids.
func (f *fixture) wantAudits(tenant string, want ...*delivery.AuditEntry) {
	f.Helper()
	got := f.audits(tenant, delivery.AuditFilter{Limit: 100})
	slices.Reverse(got)
	if len(got) != len(want) {
		f.Fatalf("the audit log of %s has %d entries, want %d", tenant, len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], *want[i]) {
			f.Errorf("entry %d is\n%+v, want\n%+v", i, got[i], *want[i])
		}
	}
}

// testAuditChanges checks that entries are written with their changes, and not with those that
// are refused.
func testAuditChanges(f *fixture) {
	w := f.newWebhook(tenant)
	created, changed, deleted := f.auditEntry(tenant, w.ID), f.auditEntry(tenant, w.ID), f.auditEntry(tenant, w.ID)
	created.Action, created.Before = delivery.ActionWebhookCreated, nil
	deleted.Action, deleted.After = delivery.ActionWebhookDeleted, nil
	never := func() *delivery.AuditEntry { return f.auditEntry(tenant, w.ID) }

	f.must(f.store.CreateWebhook(f.Context(), w, delivery.MaxWebhooks, created))
	f.wantAudits(tenant, created)
	if err := f.store.UpdateWebhook(f.Context(), w, f.version(tenant)-1, never()); !errors.Is(err, delivery.ErrConflict) {
		f.Fatalf("an update of an old version: %v", err)
	}
	absent := f.newWebhook(tenant)
	if err := f.store.UpdateWebhook(f.Context(), absent, f.version(tenant), never()); !errors.Is(err, delivery.ErrNotFound) {
		f.Fatalf("an update of no webhook: %v", err)
	}
	if err := f.store.DeleteWebhook(f.Context(), absent.Ref(), never()); !errors.Is(err, delivery.ErrNotFound) {
		f.Fatalf("a deletion of no webhook: %v", err)
	}
	f.wantAudits(tenant, created)
	w.Enabled = false
	f.must(f.store.UpdateWebhook(f.Context(), w, f.version(tenant), changed))
	f.must(f.store.DeleteWebhook(f.Context(), w.Ref(), deleted))
	f.wantAudits(tenant, created, changed, deleted)

	rerun := &delivery.AuditEntry{Tenant: "other", ID: delivery.NewID(f.store.Now()), Action: delivery.ActionRequestRerun, WebhookID: w.ID, RequestID: uuid.New(), EventID: uuid.New()}
	f.writeAudit(rerun, rerun) // the second changes nothing
	f.wantAudits("other", rerun)
	f.wantAudits(tenant, created, changed, deleted)
	f.wantAudits("nobody")
}

func testAuditPages(f *fixture) {
	now := f.store.Now()
	var all []*delivery.AuditEntry
	for i := range 30 {
		entry := f.auditEntry(tenant, uuid.New())
		entry.ID = delivery.NewID(now.Add(time.Duration(i-60) * time.Second))
		other := f.auditEntry([]string{"a", "z"}[i%2], uuid.New())
		all = append(all, entry)
		f.writeAudit(entry, other)
	}
	since, until := all[10].At(), all[20].At()
	for _, test := range []struct {
		filter delivery.AuditFilter
		want   []*delivery.AuditEntry
	}{
		{delivery.AuditFilter{Limit: 7}, all},
		{delivery.AuditFilter{Limit: 30}, all},
		{delivery.AuditFilter{Limit: 3, Since: since}, all[10:]},
		{delivery.AuditFilter{Limit: 3, Since: since.Add(time.Nanosecond)}, all[11:]},
		{delivery.AuditFilter{Limit: 4, Until: until}, all[:20]},
		{delivery.AuditFilter{Limit: 4, Since: since, Until: until}, all[10:20]},
		{delivery.AuditFilter{Limit: 4, Since: until, Until: since}, nil},
		{delivery.AuditFilter{Limit: 4, Before: all[5].ID}, all[:5]},
	} {
		got := f.audits(tenant, test.filter)
		slices.Reverse(got)
		if !slices.EqualFunc(got, test.want, func(a delivery.AuditEntry, b *delivery.AuditEntry) bool { return reflect.DeepEqual(a, *b) }) {
			f.Errorf("%+v selects %d entries, want %d", test.filter, len(got), len(test.want))
		}
	}
}

// testAuditBounds checks that a log does not grow beyond its bounds, in number or in bytes, and
// keeps the newest.
func testAuditBounds(f *fixture) {
	begin := f.store.Now().Add(-time.Hour)
	entries := make([]*delivery.AuditEntry, delivery.MaxAudit+1)
	for i := range entries {
		entries[i] = f.auditEntry(tenant, uuid.New())
		entries[i].ID = delivery.NewID(begin.Add(time.Duration(i) * time.Millisecond))
	}
	fill(f, entries, func(batch *delivery.Batch, entry *delivery.AuditEntry) {
		batch.AddAudit(*entry)
	}, func(entry *delivery.AuditEntry) error {
		return f.store.WriteAuditEntry(f.Context(), entry)
	})
	got := f.audits(tenant, delivery.AuditFilter{Limit: 1000})
	if n := len(got); n < delivery.MaxAudit*8/10 || n > delivery.MaxAudit || got[0].ID != entries[len(entries)-1].ID {
		f.Errorf("there are %d entries, the newest by %q", n, got[0].By)
	}
	if rest := f.audits(tenant, delivery.AuditFilter{Limit: 10, Before: got[len(got)-1].ID}); len(rest) > 0 {
		f.Errorf("%d entries come after the last page", len(rest))
	}

	large := bytes.Repeat([]byte("x"), delivery.MaxAuditBytes/8)
	for range 12 { // each after the seventh has an old one removed
		entry := f.auditEntry("large", uuid.New())
		entry.After = large
		f.writeAudit(entry)
		got := f.audits("large", delivery.AuditFilter{Limit: 1})
		if len(got) > 8 || got[0].ID != entry.ID {
			f.Fatalf("there are %d large entries", len(got))
		}
	}
	if got := f.audits("large", delivery.AuditFilter{Limit: 10}); len(got) < 6 {
		f.Errorf("only %d large entries are left", len(got))
	}
	huge := f.auditEntry("large", uuid.New())
	huge.After = []byte(strings.Repeat("y", delivery.MaxAuditBytes+1))
	f.writeAudit(huge)
	f.wantAudits("large", huge)
}

// testAuditSweep checks that entries that are too old go, and no others.
func testAuditSweep(f *fixture) {
	const day = 24 * time.Hour
	var kept []*delivery.AuditEntry
	for n := range 600 { // more tenants than one step looks at
		name := fmt.Sprintf("t%03d", n)
		old, entry := f.auditEntry(name, uuid.New()), f.auditEntry(name, uuid.New())
		old.ID = delivery.NewID(f.store.Now().Add(-15*day - time.Duration(n)*time.Hour))
		entry.ID = delivery.NewID(f.store.Now().Add(-13 * day))
		kept = append(kept, entry)
		if n%3 == 0 {
			f.writeAudit(old)
		}
		f.writeAudit(entry)
	}
	gone := f.auditEntry("gone", uuid.New())
	gone.ID = delivery.NewID(f.store.Now().Add(-20 * day))
	f.writeAudit(gone)
	f.sweep(14 * day)
	f.wantAudits("gone")
	for _, entry := range kept {
		f.wantAudits(entry.Tenant, entry)
	}
	// What is written then counts from what is left.
	f.writeAudit(gone)
	f.wantAudits("gone", gone)
}

// compareAudits compares the audit log of a tenant with the model.
func (r *randomRun) compareAudits(tenant string) {
	r.wantAudits(tenant, slices.SortedFunc(slices.Values(r.model.audits[tenant]), func(a, b *delivery.AuditEntry) int {
		return bytes.Compare(a.ID[:], b.ID[:])
	})...)
}

// someAudit is what a change is to write to the audit log: often nothing.
func (r *randomRun) someAudit(ref delivery.WebhookRef) []*delivery.AuditEntry {
	if r.chance(50) {
		return nil
	}
	return []*delivery.AuditEntry{r.auditEntry(ref.Tenant, ref.ID)}
}

func (m *model) audit(tenant string, entries []*delivery.AuditEntry) {
	m.audits[tenant] = append(m.audits[tenant], entries...)
}
