package storetest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// eventList reads a whole list of events, page by page.
func (f *fixture) eventList(tenant string, filter delivery.EventFilter) (all []delivery.ListedEvent) {
	f.Helper()
	for pages := 0; ; pages++ {
		page, err := f.store.Events(f.Context(), tenant, filter)
		f.must(err)
		if len(page.Events) > filter.Limit {
			f.Fatalf("a page has %d events, want up to %d", len(page.Events), filter.Limit)
		}
		if all = append(all, page.Events...); page.Next == "" {
			return all
		}
		if filter.After = page.Next; pages > 10_000 {
			f.Fatal("there is no end to the list of events")
		}
	}
}

// listed is what a list should have of an event, without its place.
func listed(e *delivery.AcceptEvent, at time.Time) delivery.ListedEvent {
	return delivery.ListedEvent{
		ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: at, Deliveries: len(e.Targets), Test: e.Test,
	}
}

// withoutPlaces copies a list without the places of the events, each of which must have one.
func (f *fixture) withoutPlaces(all []delivery.ListedEvent) []delivery.ListedEvent {
	f.Helper()
	all = slices.Clone(all)
	for i := range all {
		if all[i].Place == "" {
			f.Fatalf("event %s has no place", all[i].ID)
		}
		all[i].Place = ""
	}
	return all
}

// wantEventList compares a list of all of a tenant's events with what it should be, which is given
// oldest first, in both orders and in pages of several sizes.
func (f *fixture) wantEventList(tenant string, filter delivery.EventFilter, want []delivery.ListedEvent) {
	f.Helper()
	var selected []delivery.ListedEvent
	for i := range want {
		if filter.Selects(want[i].Type, want[i].ReceivedAt) {
			selected = append(selected, want[i])
		}
	}
	for _, filter.OldestFirst = range []bool{true, false} {
		for _, filter.Limit = range []int{1 + len(selected)/3, delivery.MaxPage} {
			got := f.withoutPlaces(f.eventList(tenant, filter))
			if !slices.Equal(got, selected) {
				f.Fatalf("%+v lists %d events, want %d, or in another order:\n%+v\n%+v", filter, len(got), len(selected), got, selected)
			}
		}
		slices.Reverse(selected)
	}
}

// eventCalls makes calls of the tenant, one of another one, and a stale one: with events that have no
// deliveries, tests, some whose ids are there already, and strange times.
func (f *fixture) eventCalls(w, other *delivery.Webhook, chosen uuid.UUID) (calls []delivery.AcceptCall) {
	f.Helper()
	for n := range 5 {
		call := f.call(tenant, f.event(), leased(f.event(w)), f.event(w))
		call.Events[1].Type = fmt.Sprint("type ", n)
		call.Events[2].Test = true
		for i := range call.Events {
			call.Events[i].New = n%2 == 0
		}
		switch n {
		case 1:
			call.Events[0].ID = chosen
		case 3:
			call.Events[2].ID = call.Events[1].ID
		case 4:
			call.Events[0].OccurredAt = time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)
			call.Events[1].OccurredAt = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
		}
		calls = append(calls, call)
	}
	stale := f.call(tenant, f.event())
	stale.Version--
	return slices.Insert(calls, 1, f.call("other", f.event(other)), stale)
}

// testEventList lists events in the order in which they came: those without deliveries included,
// but no duplicates and no repetitions, and none of a call that was stale.
func testEventList(f *fixture) {
	w, other := f.webhook(tenant), f.webhook("other")
	var want []delivery.ListedEvent
	chosen := uuid.New()
	for round := range 4 {
		calls := f.eventCalls(w, other, chosen)
		results := f.acceptAll(held, calls...)
		for i := range calls {
			for j, r := range results[i].Events {
				if calls[i].Tenant == tenant && !r.Duplicate {
					want = append(want, listed(&calls[i].Events[j], results[i].At))
				}
				calls[i].Events[j].New = false
			}
		}
		f.acceptAll(held, calls...) // as after a timeout
		f.wantEventList(tenant, delivery.EventFilter{}, want)
		if round == 1 {
			f.eventually("time passes", func() bool { return f.store.Now().After(want[len(want)-1].ReceivedAt.Add(2 * time.Millisecond)) })
		}
	}
	if n := len(f.eventList("other", delivery.EventFilter{Limit: 10})); n != 4 {
		f.Errorf("another tenant has %d events, want 4", n)
	}
	if n := len(f.eventList("nobody", delivery.EventFilter{Limit: 10})); n != 0 {
		f.Errorf("a tenant without events has %d", n)
	}
	first, last := want[0].ReceivedAt, want[len(want)-1].ReceivedAt
	for _, filter := range []delivery.EventFilter{
		{EventType: "type 2"},
		{EventType: "type"},
		{Since: first, Until: last},
		{Since: first.Add(time.Millisecond)},
		{Since: last},
		{Since: last.Add(time.Hour)},
		{Until: first},
		{Until: first.Add(-1000 * time.Hour)},
		{Until: first.Add(time.Millisecond), EventType: "type 4"},
	} {
		f.wantEventList(tenant, filter, want)
	}
}

// testEventPlaces goes on from the place of each event, whatever has come since, and refuses what is
// no place.
func testEventPlaces(f *fixture) {
	var want []delivery.ListedEvent
	accept := func(n int) {
		events := make([]delivery.AcceptEvent, n)
		for i := range events {
			events[i] = f.event()
		}
		result := f.accept(held, events...)
		for i := range events {
			want = append(want, listed(&events[i], result.At))
		}
	}
	for n := range 20 {
		accept(1 + 7*n%20)
	}
	before := map[bool][]delivery.ListedEvent{}
	for _, oldest := range []bool{true, false} {
		before[oldest] = f.eventList(tenant, delivery.EventFilter{OldestFirst: oldest, Limit: 30})
	}
	known := len(want)
	accept(3)
	for oldest, all := range before {
		for i := range all {
			left := f.withoutPlaces(f.eventList(tenant, delivery.EventFilter{OldestFirst: oldest, After: all[i].Place, Limit: 50}))
			behind := want[i+1:]
			if !oldest {
				behind = slices.Clone(want[:known-1-i])
				slices.Reverse(behind)
			}
			if !slices.Equal(left, behind) {
				f.Fatalf("behind event %d, oldest first %v, are %d events, want %d", i, oldest, len(left), len(behind))
			}
		}
	}
	place := before[true][0].Place
	for _, bad := range []string{"a", place + "a", place[1:]} {
		_, err := f.store.Events(f.Context(), tenant, delivery.EventFilter{After: bad, Limit: 1})
		if !errors.Is(err, delivery.ErrUnknownPlace) {
			f.Errorf("the place %x: %v", bad, err)
		}
	}
	for i := range place { // whatever is made up, the answer is an error or some page
		odd := []byte(place)
		odd[i] ^= 0xFF
		page, err := f.store.Events(f.Context(), tenant, delivery.EventFilter{After: string(odd), Limit: 1})
		if err != nil && !errors.Is(err, delivery.ErrUnknownPlace) || len(page.Events) > 1 {
			f.Errorf("the place %x: %v", odd, err)
		}
	}
	f.wantEventList(tenant, delivery.EventFilter{}, want)
}

// testEventListExpires leaves out events that have expired, whether Sweep has removed them or not.
func testEventListExpires(f *fixture) {
	call := f.call(tenant, f.event())
	batch := delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: held, Retention: -delivery.EventGrace}
	f.must(f.store.Accept(f.Context(), batch)[0].Err)
	f.eventually("the event expires", func() bool { return len(f.eventList(tenant, delivery.EventFilter{Limit: 5})) == 0 })
}

// sortedEvents copies a list without what a copy of the store may have changed: in which order the
// events are, and of how many deliveries it has the webhooks.
func sortedEvents(all []delivery.ListedEvent) []delivery.ListedEvent {
	all = slices.Clone(all)
	for i := range all {
		all[i].Place, all[i].Deliveries = "", 0
	}
	slices.SortFunc(all, func(a, b delivery.ListedEvent) int {
		return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return all
}

// compareEventList lists a tenant's events by a random filter.
func (r *randomRun) compareEventList() {
	filter := delivery.EventFilter{Limit: 1 + r.rand.IntN(50), OldestFirst: r.chance(50)}
	if r.chance(30) {
		filter.EventType = "alert_active"
	}
	if n := len(r.model.arrived); n > 0 && r.chance(30) {
		filter.Since = r.model.events[r.model.arrived[r.rand.IntN(n)]].ReceivedAt
	}
	if n := len(r.model.arrived); n > 0 && r.chance(30) {
		filter.Until = r.model.events[r.model.arrived[r.rand.IntN(n)]].ReceivedAt
	}
	r.wantEvents(r.tenant(), filter)
}

// wantEvents compares a list of events with the model.
func (r *randomRun) wantEvents(tenant string, filter delivery.EventFilter) {
	var want []delivery.ListedEvent
	for _, key := range r.model.arrived {
		e := r.model.events[key]
		if key.tenant == tenant && filter.Selects(e.Type, e.ReceivedAt) {
			want = append(want, delivery.ListedEvent{
				ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt, Deliveries: len(e.deliveries) - e.added, Test: e.test,
			})
		}
	}
	if !filter.OldestFirst {
		slices.Reverse(want)
	}
	got := r.withoutPlaces(r.eventList(tenant, filter))
	if r.copied {
		got, want = sortedEvents(got), sortedEvents(want)
	}
	if !slices.Equal(got, want) {
		r.Fatalf("%+v lists %d events\n%+v, want %d\n%+v", filter, len(got), got, len(want), want)
	}
}
