package storetest

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// testLook looks into many rows for what only the oldest of them has, in the log of a tenant and
// among the requests of one event: a page ends after a bounded number of rows, and says where to
// go on.
func testLook(f *fixture) {
	const rows = delivery.MaxLook + delivery.MaxLook/4
	hooks := f.webhooks(tenant, 3)
	e := f.event(hooks...)
	result := f.accept(held, e)
	var outcomes []delivery.Outcome
	for i := range rows {
		job := &delivery.Job{Webhook: hooks[i%len(hooks)], Event: &delivery.Event{
			Tenant: tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: result.At,
		}}
		o := manual(f.outcome(job), delivery.TriggerRerun)
		o.Request.ID = delivery.NewID(result.At.Add(time.Duration(i) * time.Millisecond))
		o.Request.URL = "https://example.com/new"
		if i == 0 {
			o.Request.URL = "https://example.com/old"
		}
		outcomes = append(outcomes, o)
	}
	for chunk := range slices.Chunk(outcomes, 100) {
		f.complete(chunk...)
	}
	for _, filter := range []delivery.RequestFilter{
		{URLPrefix: "https://example.com/old"}, {URLPrefix: "https://example.com/old", EventID: e.ID}, {Text: "/OLD"},
	} {
		filter.Limit = 10
		page, err := f.store.Requests(f.Context(), tenant, filter)
		f.must(err)
		if len(page.Requests) > 0 || page.Next == uuid.Nil || slices.Compare(page.Next[:], outcomes[rows-delivery.MaxLook-100].Request.ID[:]) < 0 {
			f.Errorf("%s: the first page has %d rows, and goes on at %s; want none of %d that it looks at", describe(&filter), len(page.Requests), page.Next, delivery.MaxLook)
		}
		if got := ids(f.pages(tenant, filter)); !slices.Equal(got, []uuid.UUID{outcomes[0].Request.ID}) {
			f.Errorf("%s: all pages have %v, want the oldest row", describe(&filter), got)
		}
	}
}
