package storetest

import (
	"reflect"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// subscriptions are a tenant's webhooks as a process remembers them.
type subscriptions struct {
	version  int64
	webhooks map[uuid.UUID]*delivery.Webhook
}

// readAll reads a tenant's webhooks page by page, while nothing changes.
func (f *fixture) readAll(tenant string) *subscriptions {
	f.Helper()
	s := &subscriptions{webhooks: make(map[uuid.UUID]*delivery.Webhook)}
	for after, pages := "", 0; ; pages++ {
		page, err := f.store.WebhookPage(f.Context(), tenant, after)
		f.must(err)
		if pages > 0 && page.Version != s.version {
			f.Fatalf("a page has version %d, and the one before it %d", page.Version, s.version)
		}
		s.version = page.Version
		for _, w := range page.Webhooks {
			s.webhooks[w.ID] = w
		}
		if after = page.Next; after == "" {
			return s
		}
	}
}

// catchUp reads what has changed, and reports whether the store could tell.
func (f *fixture) catchUp(tenant string, s *subscriptions) bool {
	f.Helper()
	changes, err := f.store.WebhookChanges(f.Context(), tenant, s.version)
	f.must(err)
	if !changes.Known {
		return false
	}
	for _, w := range changes.Webhooks {
		s.webhooks[w.ID] = w
	}
	for _, id := range changes.Deleted {
		delete(s.webhooks, id)
	}
	s.version = changes.Version
	return true
}

// wantRemembered compares what a process remembers with all that there is.
func (f *fixture) wantRemembered(tenant string, got *subscriptions) {
	f.Helper()
	if want := f.readAll(tenant); !reflect.DeepEqual(got, want) {
		f.Errorf("after the changes there are %d webhooks at version %d, want %d at %d", len(got.webhooks), got.version, len(want.webhooks), want.version)
	}
}

func testWebhookPages(f *fixture) {
	const n = 3*delivery.MaxWebhookPage + 7
	if page, err := f.store.WebhookPage(f.Context(), tenant, ""); err != nil || !reflect.DeepEqual(page, delivery.WebhookPage{}) {
		f.Fatalf("of a new tenant: %+v, %v", page, err)
	}
	all := f.webhooks(tenant, n)
	f.webhook("other")
	got := f.readAll(tenant)
	if len(got.webhooks) != n || got.version != f.version(tenant) {
		f.Errorf("there are %d webhooks at version %d, want %d at %d", len(got.webhooks), got.version, n, f.version(tenant))
	}
	for _, w := range all {
		if !reflect.DeepEqual(got.webhooks[w.ID], w) {
			f.Fatalf("a page has\n%+v, want\n%+v", got.webhooks[w.ID], w)
		}
	}
	if page, err := f.store.WebhookPage(f.Context(), tenant, ""); err != nil || page.Next == "" || len(page.Webhooks) > 2*delivery.MaxWebhookPage {
		f.Errorf("the first page has %d webhooks, %v", len(page.Webhooks), err)
	}
}

// What changes while pages are read is in the changes since the first.
func testWebhookPagesChange(f *fixture) {
	all := f.webhooks(tenant, 3*delivery.MaxWebhookPage)
	got := &subscriptions{webhooks: make(map[uuid.UUID]*delivery.Webhook)}
	for after, pages := "", 0; ; pages++ {
		page, err := f.store.WebhookPage(f.Context(), tenant, after)
		f.must(err)
		if pages == 0 {
			got.version = page.Version
		}
		for _, w := range page.Webhooks {
			got.webhooks[w.ID] = w
		}
		if after = page.Next; after == "" {
			break
		}
		for _, w := range []*delivery.Webhook{all[pages], all[len(all)-1-pages]} {
			f.update(w, func(w *delivery.Webhook) { w.URL += "/changed" })
		}
		f.must(f.store.DeleteWebhook(f.Context(), all[10+pages].Ref()))
		f.must(f.store.DeleteWebhook(f.Context(), all[len(all)-11-pages].Ref()))
		f.webhook(tenant)
	}
	if !f.catchUp(tenant, got) {
		f.Fatal("the changes are not known")
	}
	f.wantRemembered(tenant, got)
}

func testWebhookChangesSince(f *fixture) {
	empty := f.readAll(tenant)
	if !f.catchUp(tenant, empty) || len(empty.webhooks) != 0 {
		f.Error("that a new tenant has no webhooks is not known")
	}
	all := f.webhooks(tenant, 4)
	got := f.readAll(tenant)
	before := got.version
	f.update(all[0], func(w *delivery.Webhook) { w.Enabled = false })
	f.update(all[0], func(w *delivery.Webhook) { w.EventTypes = []string{"device_created"} })
	f.must(f.store.DeleteWebhook(f.Context(), all[1].Ref()))
	f.must(f.store.DeleteWebhook(f.Context(), all[2].Ref()))
	f.must(f.store.CreateWebhook(f.Context(), all[2], delivery.MaxWebhooks)) // as a copy does
	added := f.webhook(tenant)
	passing := f.webhook(tenant)
	f.must(f.store.DeleteWebhook(f.Context(), passing.Ref()))
	changes, err := f.store.WebhookChanges(f.Context(), tenant, before)
	f.must(err)
	if !changes.Known || len(changes.Webhooks) != 3 || len(changes.Deleted) != 2 {
		f.Errorf("changed: %v, deleted: %v, want 3 and 2", changes.Webhooks, changes.Deleted)
	}
	for _, w := range changes.Webhooks {
		if w.ID == all[3].ID || w.ID == added.ID && !reflect.DeepEqual(w, added) {
			f.Errorf("changed: %+v", w)
		}
	}
	if !f.catchUp(tenant, got) {
		f.Fatal("the changes are not known")
	}
	f.wantRemembered(tenant, got)
	if again, err := f.store.WebhookChanges(f.Context(), tenant, got.version); err != nil || !again.Known || len(again.Webhooks)+len(again.Deleted) > 0 {
		f.Errorf("nothing has changed since, but: %+v, %v", again, err)
	}
}

// A version that the store never had, since it is a later one that was lost, tells nothing.
func testWebhookChangesUnknown(f *fixture) {
	w := f.webhook(tenant)
	for _, since := range []int64{f.version(tenant) + 1, f.version(tenant) + 1e6} {
		changes, err := f.store.WebhookChanges(f.Context(), tenant, since)
		f.must(err)
		if changes.Known || changes.Version != f.version(tenant) {
			f.Errorf("since version %d, which never was: %+v", since, changes)
		}
	}
	got := f.readAll(tenant)
	for range 1000 {
		f.update(w, func(w *delivery.Webhook) { w.Enabled = !w.Enabled })
	}
	if f.catchUp(tenant, got) {
		f.wantRemembered(tenant, got) // a store may know
	}
	got = f.readAll(tenant)
	for range 10 {
		f.update(w, func(w *delivery.Webhook) { w.Enabled = !w.Enabled })
	}
	if !f.catchUp(tenant, got) {
		f.Error("the last ten changes are not known")
	}
	f.wantRemembered(tenant, got)
}

func testWebhooksOf(f *fixture) {
	all := f.webhooks(tenant, 5)
	other := f.webhook("other")
	f.must(f.store.DeleteWebhook(f.Context(), all[1].Ref()))
	got, version, err := f.store.WebhooksOf(f.Context(), tenant, []uuid.UUID{all[4].ID, all[1].ID, other.ID, all[0].ID, uuid.New()})
	f.must(err)
	if want := []*delivery.Webhook{all[4], all[0]}; !reflect.DeepEqual(got, want) || version != f.version(tenant) {
		f.Errorf("got %v at version %d, want %v at %d", got, version, want, f.version(tenant))
	}
	if none, _, err := f.store.WebhooksOf(f.Context(), tenant, nil); err != nil || len(none) != 0 {
		f.Errorf("of no ids: %v, %v", none, err)
	}
}
