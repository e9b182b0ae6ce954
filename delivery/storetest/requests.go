package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// testFilters compares pages of a log over 40 days, some of them empty, with a search through
// all rows.
func testFilters(f *fixture) {
	const events, days = 150, 40
	random := rand.New(rand.NewPCG(1, 2))
	hooks := f.webhooks(tenant, 4)
	other := f.webhook("other")
	types := []string{"alert_active", "alert_resolved", "ünüsual", "device_created"}
	var rows []delivery.Request
	var outcomes []delivery.Outcome
	for n := range events {
		e := f.event(hooks[n%len(hooks)], hooks[(n+1)%len(hooks)])
		e.Type = types[random.IntN(len(types)-1)]
		result := f.accept(held, e)
		for i := range 4 {
			w := hooks[(n+i/2)%len(hooks)]
			job := &delivery.Job{Webhook: w, Event: &delivery.Event{
				Tenant: tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: result.At,
			}}
			o := manual(f.outcome(job), []delivery.Trigger{delivery.TriggerRerun, delivery.TriggerTest}[random.IntN(2)])
			o.Request.StatusCode = 500 + random.IntN(4)
			o.Request.URL = fmt.Sprintf("https://host-%d.example/Hook", random.IntN(3))
			o.Request.Error = fmt.Sprintf("The endpoint responded with %d, and it said Ünder.", o.Request.StatusCode)
			if random.IntN(2) == 0 {
				o = succeeded(o)
			}
			age := time.Duration(random.IntN(days/4))*4*24*time.Hour + time.Duration(random.Int64N(int64(3*time.Hour)))
			o.Request.ID = delivery.NewID(f.store.Now().Add(-age))
			outcomes = append(outcomes, o)
			rows = append(rows, o.Request)
		}
	}
	for chunk := range slices.Chunk(outcomes, 100) {
		f.complete(chunk...)
	}
	e := f.event(other)
	result := f.acceptAll(held, f.call("other", e))[0]
	f.must(result.Err)
	job := &delivery.Job{Webhook: other, Event: &delivery.Event{Tenant: "other", ID: e.ID, Type: types[0], ReceivedAt: result.At}}
	f.complete(manual(f.outcome(job), delivery.TriggerRerun))

	for range 300 {
		f.comparePages(rows, randomFilter(random, rows, types))
	}
}

// randomFilter selects some rows, or none.
func randomFilter(random *rand.Rand, rows []delivery.Request, types []string) delivery.RequestFilter {
	pick := func(ids ...uuid.UUID) uuid.UUID { return ids[random.IntN(len(ids))] }
	row := &rows[random.IntN(len(rows))]
	filter := delivery.RequestFilter{
		WebhookID: pick(uuid.Nil, uuid.Nil, row.WebhookID),
		EventID:   pick(uuid.Nil, uuid.Nil, uuid.Nil, row.EventID),
		Before:    pick(uuid.Nil, uuid.Nil, row.ID),
		EventType: append(types, "", "", "")[random.IntN(len(types)+3)],
		Status:    []delivery.RequestStatus{"", "", delivery.RequestSuccess, delivery.RequestFailed}[random.IntN(4)],
		Limit:     []int{1, 7, 50, 200}[random.IntN(4)],
	}
	if random.IntN(3) == 0 {
		filter.Since = rows[random.IntN(len(rows))].StartedAt()
	}
	if random.IntN(3) == 0 {
		filter.Until = rows[random.IntN(len(rows))].StartedAt().Add(time.Duration(random.IntN(2)) * time.Microsecond)
	}
	if filter.Limit == 1 {
		filter.Limit = 1 + random.IntN(20)
	}
	if random.IntN(2) == 0 {
		filter.StatusCodes = []delivery.StatusCodes{{}, {}, {First: 500, Last: 599}, {First: 501, Last: 501}, {First: 200, Last: 299}}[random.IntN(5)]
		filter.Trigger = []delivery.Trigger{"", delivery.TriggerRerun, delivery.TriggerTest, delivery.TriggerRetry}[random.IntN(4)]
		filter.URLPrefix = []string{"", "", "https://host-1.example/", "https://HOST-1"}[random.IntN(4)]
		filter.Text = []string{"", "", "HOST-2", "with 502", "ünder", "%", row.EventID.String()[20:], row.ID.String()[:18]}[random.IntN(8)]
	}
	return filter
}

// comparePages reads all pages and compares them with what the filter selects from all rows.
func (f *fixture) comparePages(rows []delivery.Request, filter delivery.RequestFilter) {
	f.Helper()
	want := []uuid.UUID{}
	for i := range rows {
		if chosen(&rows[i], &filter) {
			want = append(want, rows[i].ID)
		}
	}
	sortIDs(want)
	if got := ids(f.pages(tenant, filter)); !slices.Equal(got, want) {
		f.Fatalf("%s\nchooses %d rows\n%v,\nwant %d\n%v", describe(&filter), len(got), got, len(want), want)
	}
}

func describe(r *delivery.RequestFilter) string { return fmt.Sprintf("%+v", *r) }

func chosen(r *delivery.Request, f *delivery.RequestFilter) bool {
	at := r.StartedAt()
	return (f.WebhookID == uuid.Nil || f.WebhookID == r.WebhookID) &&
		(f.EventID == uuid.Nil || f.EventID == r.EventID) &&
		(f.EventType == "" || f.EventType == r.EventType) &&
		(f.Status == "" || f.Status == r.Status) &&
		(f.StatusCodes == delivery.StatusCodes{} || f.StatusCodes.First <= r.StatusCode && r.StatusCode <= f.StatusCodes.Last) &&
		(f.Trigger == "" || f.Trigger == r.Trigger) &&
		(f.URLPrefix == "" || strings.HasPrefix(r.URL, f.URLPrefix)) &&
		(f.Text == "" || strings.Contains(strings.ToLower(fmt.Sprint(r.URL, "\n", r.Error, "\n", r.ID, "\n", r.EventID, "\n", r.WebhookID)), strings.ToLower(f.Text))) &&
		(f.Since.IsZero() || !at.Before(f.Since)) &&
		(f.Until.IsZero() || at.Before(f.Until)) &&
		(f.Before == uuid.Nil || bytes.Compare(r.ID[:], f.Before[:]) < 0)
}

func testUnknown(f *fixture) {
	w := f.webhook(tenant)
	f.complete(f.outcome(f.bornLeased(w, held)))
	unknown := delivery.NewID(f.store.Now())
	for _, filter := range []delivery.RequestFilter{
		{WebhookID: unknown},
		{EventID: unknown},
		{EventType: "unheard_of"},
		{WebhookID: w.ID, EventID: unknown},
		{WebhookID: w.ID, Status: delivery.RequestSuccess},
		{Since: f.store.Now().Add(time.Hour)},
		{Until: f.store.Now().Add(-time.Hour)},
		{Until: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)},
		{Since: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)},
		{Since: f.store.Now().Add(time.Hour), Until: f.store.Now().Add(-time.Hour)},
	} {
		filter.Limit = 10
		page, err := f.store.Requests(f.Context(), tenant, filter)
		if err != nil || len(page.Requests) > 0 || page.Next != uuid.Nil {
			f.Errorf("%s chooses %+v, %v; want an empty page", describe(&filter), page, err)
		}
	}
	wide := delivery.RequestFilter{Since: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), Until: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), Limit: 10}
	if rows := f.pages(tenant, wide); len(rows) != 1 {
		f.Errorf("%s chooses %d rows, want 1", describe(&wide), len(rows))
	}
	if page, err := f.store.Requests(f.Context(), "nobody", delivery.RequestFilter{Limit: 10}); err != nil || len(page.Requests) > 0 {
		f.Errorf("a new tenant's log: %+v, %v", page, err)
	}
	if _, err := f.store.Request(f.Context(), tenant, unknown); !errors.Is(err, delivery.ErrNotFound) {
		f.Errorf("an unknown request: %v", err)
	}
	if _, _, err := f.store.Event(f.Context(), tenant, unknown); !errors.Is(err, delivery.ErrNotFound) {
		f.Errorf("an unknown event: %v", err)
	}
}
