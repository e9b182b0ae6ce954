package storetest

import (
	"reflect"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// copy copies, and returns how much was added.
func (f *fixture) copy(from, to delivery.Copyable) (added int) {
	f.Helper()
	sums := make(map[string]int)
	f.must(delivery.Copy(f.Context(), from, to, func(kind string, _, n int) { sums[kind] = n }))
	for _, n := range sums {
		added += n
	}
	return added
}

func (f *fixture) counts(store delivery.Copyable) delivery.Counts {
	f.Helper()
	counts, err := delivery.Count(f.Context(), store, store.Now())
	f.must(err)
	return counts
}

// wantSame compares all that can be read from two stores.
func (r *randomRun) wantSame(a, b delivery.Copyable) {
	r.Helper()
	if got, want := r.counts(b), r.counts(a); got != want || want.Webhooks == 0 || want.Events == 0 || want.Pending == 0 || want.Requests == 0 || want.Audits == 0 {
		r.Fatalf("copied %+v of %+v", got, want)
	}
	same := func(what any, read func(*fixture) any) {
		r.Helper()
		got, want := read(&fixture{T: r.T, store: b}), read(&fixture{T: r.T, store: a})
		if !reflect.DeepEqual(got, want) {
			r.Fatalf("%+v is\n%+v\nand was\n%+v", what, got, want)
		}
	}
	same("pending", func(f *fixture) any {
		n, err := f.store.Pending(f.Context())
		f.must(err)
		return n
	})
	for _, key := range r.events {
		same(key, func(f *fixture) any {
			e, deliveries, err := f.store.Event(f.Context(), key.tenant, key.id)
			f.must(err)
			return struct {
				delivery.Event
				deliveries []delivery.Delivery
			}{*e, append([]delivery.Delivery{}, deliveries...)}
		})
	}
	for id, row := range r.model.rows {
		same(id, func(f *fixture) any { return *f.request(row.Tenant, id) })
	}
	for n := range modelTenants {
		tenant := string(rune('a' + n))
		same(tenant, func(f *fixture) any {
			webhooks, _, err := Webhooks(f.Context(), f.store, tenant)
			f.must(err)
			all := make([]delivery.Webhook, len(webhooks))
			for i, w := range webhooks {
				all[i] = *w
			}
			return all
		})
		same(tenant, func(f *fixture) any { return f.audits(tenant, delivery.AuditFilter{Limit: 20}) })
		// Only the first store has counted requests to webhooks that were deleted.
		since := a.Now().Add(-20 * time.Hour)
		ids := r.webhookIDs(tenant)
		same(tenant, func(f *fixture) any { return f.webhookRequests(tenant, since, ids...) })
		same(tenant, func(f *fixture) any { return f.webhookPending(tenant, ids...) })
		same(tenant, func(f *fixture) any { return sortedEvents(f.eventList(tenant, delivery.EventFilter{Limit: 20})) })
		for _, filter := range r.someFilters(tenant) {
			same(filter, func(f *fixture) any { return f.pages(tenant, filter) })
		}
	}
}

// someFilters are filters that select some of a tenant's log.
func (r *randomRun) someFilters(tenant string) []delivery.RequestFilter {
	filters := []delivery.RequestFilter{{}, {Status: delivery.RequestSuccess}, {Status: delivery.RequestFailed}, {EventType: "alert_active"}}
	for _, row := range r.model.rows {
		if row.Tenant == tenant && len(filters) < 30 {
			filters = append(filters,
				delivery.RequestFilter{WebhookID: row.WebhookID},
				delivery.RequestFilter{EventID: row.EventID},
				delivery.RequestFilter{Since: row.StartedAt(), EventType: row.EventType},
				delivery.RequestFilter{Until: row.StartedAt(), Status: row.Status},
			)
		}
	}
	for i := range filters {
		filters[i].Limit = 20
	}
	return filters
}
