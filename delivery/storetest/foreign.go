package storetest

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// things are ids that a tenant has, or that nobody has.
type things struct {
	webhook, event, request uuid.UUID
	// pending is an event whose delivery has not ended.
	pending uuid.UUID
	replay  uuid.UUID
}

// nobodys are things that differ from others only in bits that are random, so that they would be
// in the same places.
func (x *things) nobodys() things {
	other := func(id uuid.UUID) uuid.UUID {
		id[9], id[10] = ^id[9], ^id[10]
		return id
	}
	return things{other(x.webhook), other(x.event), other(x.request), other(x.pending), other(x.replay)}
}

// foreignCalls are the operations that take ids of things that exist, and what they answer a
// tenant that asks for things it does not have.
var foreignCalls = map[string][]func(f *fixture, as string, x things) []any{
	"Webhook": {func(f *fixture, as string, x things) []any {
		w, _, err := f.store.Webhook(f.Context(), delivery.WebhookRef{Tenant: as, ID: x.webhook})
		return []any{w, err}
	}},
	"WebhooksOf": {func(f *fixture, as string, x things) []any {
		all, _, err := f.store.WebhooksOf(f.Context(), as, []uuid.UUID{x.webhook, x.webhook})
		return []any{len(all), err}
	}},
	"UpdateWebhook": {func(f *fixture, as string, x things) []any {
		w := f.newWebhook(as)
		w.ID = x.webhook
		return []any{f.store.UpdateWebhook(f.Context(), w, f.version(as))}
	}},
	"DeleteWebhook": {func(f *fixture, as string, x things) []any {
		return []any{f.store.DeleteWebhook(f.Context(), delivery.WebhookRef{Tenant: as, ID: x.webhook})}
	}},
	"Event": {
		func(f *fixture, as string, x things) []any { return foreignEvent(f, as, x.event) },
		func(f *fixture, as string, x things) []any { return foreignEvent(f, as, x.pending) },
	},
	"EraseEvent": {
		func(f *fixture, as string, x things) []any {
			return []any{f.store.EraseEvent(f.Context(), as, x.event)}
		},
		func(f *fixture, as string, x things) []any {
			return []any{f.store.EraseEvent(f.Context(), as, x.pending)}
		},
	},
	"AddDelivery": {
		func(f *fixture, as string, x things) []any { return foreignDelivery(f, as, x.webhook, x.event) },
		func(f *fixture, as string, x things) []any { return foreignDelivery(f, as, x.webhook, x.pending) },
		func(f *fixture, as string, x things) []any { // the event is one's own
			e := f.event()
			f.acceptAll(held, f.call(as, e))
			return foreignDelivery(f, as, x.webhook, e.ID)
		},
	},
	"Request": {func(f *fixture, as string, x things) []any {
		r, err := f.store.Request(f.Context(), as, x.request)
		return []any{r, err}
	}},
	"Requests": {
		func(f *fixture, as string, x things) []any {
			return foreignPage(f, as, delivery.RequestFilter{WebhookID: x.webhook})
		},
		func(f *fixture, as string, x things) []any {
			return foreignPage(f, as, delivery.RequestFilter{WebhookID: x.webhook, EventType: "alert_active", Status: delivery.RequestFailed})
		},
		func(f *fixture, as string, x things) []any {
			return foreignPage(f, as, delivery.RequestFilter{EventID: x.event})
		},
		func(f *fixture, as string, x things) []any {
			return foreignPage(f, as, delivery.RequestFilter{EventID: x.event, WebhookID: x.webhook})
		},
		func(f *fixture, as string, x things) []any {
			return foreignPage(f, as, delivery.RequestFilter{Before: x.request})
		},
	},
	"Resend": {func(f *fixture, as string, x things) []any {
		w, e, err := f.store.Resend(f.Context(), as, x.request)
		return []any{w, e, err}
	}},
	"Take": {func(f *fixture, as string, x things) []any {
		job, err := f.store.Take(f.Context(), delivery.WebhookRef{Tenant: as, ID: x.webhook}, x.pending, held)
		return []any{job, err}
	}},
	"TakeStart": {func(f *fixture, as string, x things) []any {
		in, err := f.store.TakeStart(f.Context(), delivery.WebhookRef{Tenant: as, ID: x.webhook}, false)
		return []any{in, err}
	}},
	"Untried": {func(f *fixture, as string, x things) []any {
		page, err := f.store.Untried(f.Context(), delivery.WebhookRef{Tenant: as, ID: x.webhook}, "")
		return []any{page, err}
	}},
	"AuditEntries": {func(f *fixture, as string, x things) []any {
		page, err := f.store.AuditEntries(f.Context(), as, delivery.AuditFilter{Before: x.request, Limit: 10})
		return []any{len(page.Entries), page.Next, err}
	}},
	"WebhookRequests": {func(f *fixture, as string, x things) []any {
		all, err := f.store.WebhookRequests(f.Context(), as, []uuid.UUID{x.webhook}, f.store.Now().Add(-time.Hour))
		return []any{all, err}
	}},
	"WebhookPending": {func(f *fixture, as string, x things) []any {
		all, err := f.store.WebhookPending(f.Context(), as, []uuid.UUID{x.webhook})
		return []any{all, err}
	}},
	"CancelReplay": {func(f *fixture, as string, x things) []any {
		return []any{f.store.CancelReplay(f.Context(), as, x.replay)}
	}},
	"SaveReplay": {func(f *fixture, as string, x things) []any {
		state, err := f.store.SaveReplay(f.Context(), &delivery.Replay{Tenant: as, ID: x.replay, State: delivery.ReplayRunning}, holder, held, retention)
		return []any{state, err}
	}},
	"Accept": {func(f *fixture, as string, x things) []any { // which may have the ids of others' events
		e := f.event()
		e.ID = x.event
		result := f.acceptAll(held, f.call(as, e))[0]
		return []any{result.Events, result.Err}
	}},
}

func foreignEvent(f *fixture, as string, id uuid.UUID) []any {
	e, deliveries, err := f.store.Event(f.Context(), as, id)
	return []any{e, deliveries, err}
}

func foreignDelivery(f *fixture, as string, webhook, event uuid.UUID) []any {
	e, added, err := f.store.AddDelivery(f.Context(), delivery.WebhookRef{Tenant: as, ID: webhook}, event)
	return []any{e, added, err}
}

func foreignPage(f *fixture, as string, filter delivery.RequestFilter) []any {
	filter.Limit = 10
	page, err := f.store.Requests(f.Context(), as, filter)
	return []any{len(page.Requests), page.Next, err}
}

// nobodysCalls take no ids of things that exist. Standing is given rows that its tenant has read. Follow is given a position, and Events a place, of which Follow/Unknown, Events/Places
// and the followers' own tests say what becomes.
var nobodysCalls = []string{
	"Open", "Close", "Partitions", "Partition", "Ping", "SetAside", "Now", "NoteEventTypes", "Claim", "Complete",
	"Release", "WebhookPage", "WebhookChanges", "CreateWebhook", "DeclaredWebhooks", "WriteAuditEntry", "Follow",
	"Events", "Pending", "RequestCounts", "CountStored", "MarkReceived", "Standing", "Sweep", "CreateReplay", "Replays", "ClaimReplays",
}

// RunForeign asks a store for things of another tenant, and for things that nobody has. The
// answers must be the same, and so must what they cost, so that nobody learns from either what
// others have. Work counts by kind what the store has done so far, and may do some itself.
func RunForeign(t *testing.T, store delivery.Store, work func() map[string]int) {
	f := &fixture{T: t, store: store}
	for method := range reflect.TypeFor[delivery.Store]().Methods() {
		if (foreignCalls[method.Name] == nil) != slices.Contains(nobodysCalls, method.Name) {
			t.Errorf("%s must be among the calls that take ids, or among those that do not", method.Name)
		}
	}
	const one, two = "one", "two"
	f.thingsOf(two)
	counted := make(map[string]bool) // operations that do anything
	asked := func(call func(*fixture, string, things) []any, x things) (answer []any, done map[string]int) {
		before := work()
		answer, done = call(f, two, x), work()
		for kind := range done {
			done[kind] -= before[kind]
		}
		return answer, done
	}
	for _, name := range slices.Sorted(maps.Keys(foreignCalls)) {
		for i, call := range foreignCalls[name] {
			first, theirs := f.thingsOf(one), f.thingsOf(one)
			asked(call, first.nobodys()) // the first time, there may be something to prepare
			answer, done := asked(call, theirs)
			nobodys, doneInVain := asked(call, theirs.nobodys())
			if !reflect.DeepEqual(answer, nobodys) {
				t.Errorf("%s %d answers %+v, but %+v for what nobody has", name, i, answer, nobodys)
			}
			for _, n := range done {
				if n > 0 {
					counted[name] = true
				}
			}
			if !maps.Equal(done, doneInVain) {
				t.Errorf("%s %d does %v, but %v for what nobody has", name, i, done, doneInVain)
			}
			if _, _, err := store.Webhook(t.Context(), delivery.WebhookRef{Tenant: one, ID: theirs.webhook}); err != nil {
				t.Errorf("after %s %d, the other tenant's webhook: %v", name, i, err)
			}
		}
	}
	if !counted["Request"] || !counted["Event"] {
		t.Errorf("work was counted of %v alone", counted)
	}
}

// thingsOf stores things of a tenant.
func (f *fixture) thingsOf(tenant string) things {
	f.Helper()
	w := f.webhook(tenant)
	done, pending := f.bornLeased(w, held), f.bornLeased(w, held)
	o := f.outcome(done)
	f.complete(o)
	r := f.newReplay(tenant, 0)
	if err := f.store.CreateReplay(f.Context(), r, retention); errors.Is(err, delivery.ErrReplayRunning) {
		all, err := f.store.Replays(f.Context(), tenant)
		f.must(err)
		r = &all[0]
	} else {
		f.must(err)
	}
	return things{webhook: w.ID, event: done.Event.ID, request: o.Request.ID, pending: pending.Event.ID, replay: r.ID}
}
