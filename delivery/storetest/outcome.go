package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// requestID makes the id of an attempt as the engine does, which begins no two first attempts
// of a delivery in one millisecond.
func (f *fixture) requestID(job *delivery.Job) uuid.UUID {
	started := f.store.Now()
	if started.Before(job.Event.ReceivedAt) {
		started = job.Event.ReceivedAt
	}
	id := delivery.FirstRequestID(job.Webhook.Ref(), job.Event.ID, started)
	if _, taken := f.firstRequests.LoadOrStore(id, true); taken || job.Attempt != 1 {
		return delivery.NewID(started)
	}
	return id
}

// outcome makes a failed attempt of a job. It is the last one unless retried changes it.
func (f *fixture) outcome(job *delivery.Job) delivery.Outcome {
	return delivery.Outcome{
		Request: delivery.Request{
			Tenant: job.Event.Tenant, ID: f.requestID(job),
			WebhookID: job.Webhook.ID, EventID: job.Event.ID, EventType: job.Event.Type,
			OccurredAt: job.Event.OccurredAt, Trigger: delivery.TriggerEvent,
			Attempt: job.Attempt, MaxAttempts: 3,
			Status: delivery.RequestFailed, StatusCode: 500,
			URL: job.Webhook.URL, Error: "the endpoint answered 500", Duration: 1234 * time.Microsecond,
			Headers:      delivery.RequestHeaders{UserAgent: "agent", SignatureHeader: "X-Signature", StandardWebhooks: true, Previous: true},
			ResponseBody: "nö\x00", ResponseTruncated: true, Transformed: true,
		},
		ReceivedAt: job.Event.ReceivedAt,
		LeaseEnd:   job.LeaseEnd,
	}
}

// succeeded makes an outcome a success.
func succeeded(o delivery.Outcome) delivery.Outcome {
	o.Request.Status, o.Request.StatusCode, o.Request.Error = delivery.RequestSuccess, 204, ""
	o.Request.ResponseBody, o.Request.ResponseTruncated = "", false
	o.Request.Transformed = false
	o.RetryAt = time.Time{}
	return o
}

// retried makes an outcome one that is tried again.
func retried(o delivery.Outcome, at time.Time) delivery.Outcome {
	o.RetryAt = at
	return o
}

// manual makes an outcome one of a re-run or a test.
func manual(o delivery.Outcome, trigger delivery.Trigger) delivery.Outcome {
	o.Request.Trigger, o.Request.Attempt = trigger, 0
	o.LeaseEnd, o.RetryAt = 0, time.Time{}
	return o
}

func (f *fixture) complete(outcomes ...delivery.Outcome) {
	f.Helper()
	given := slices.Clone(outcomes)
	f.must(errors.Join(f.store.Complete(f.Context(), given)...))
	clear(given) // which a store must not keep
}

// bornLeased accepts an event for one webhook and returns its leased delivery.
func (f *fixture) bornLeased(w *delivery.Webhook, lease time.Duration) *delivery.Job {
	f.Helper()
	e := leased(f.event(w))
	result := f.acceptAll(lease, f.call(w.Tenant, e))[0]
	f.must(result.Err)
	if len(result.Unleased) > 0 {
		f.Fatal("the delivery was not leased")
	}
	return &delivery.Job{
		Webhook: w,
		Event: &delivery.Event{
			Tenant: w.Tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt,
			ReceivedAt: result.At, Payload: e.Payload,
		},
		Attempt: 1, LeaseEnd: result.LeaseEnd,
	}
}

// delivery reads a job's delivery.
func (f *fixture) delivery(job *delivery.Job) delivery.Delivery {
	f.Helper()
	_, all, err := f.store.Event(f.Context(), job.Event.Tenant, job.Event.ID)
	f.must(err)
	i := slices.IndexFunc(all, func(d delivery.Delivery) bool { return d.WebhookID == job.Webhook.ID })
	if i < 0 {
		f.Fatalf("the event has no delivery to %s: %+v", job.Webhook.ID, all)
	}
	return all[i]
}

// wantDelivery compares a job's delivery, its next attempt to the millisecond.
func (f *fixture) wantDelivery(job *delivery.Job, status delivery.DeliveryStatus, attempts int, next time.Time) {
	f.Helper()
	got := f.delivery(job)
	if got.Status != status || got.Attempts != attempts || !sameTime(got.NextAttemptAt, next) {
		f.Errorf("the delivery is %+v, want %s after %d attempts, next at %s", got, status, attempts, next)
	}
}

// sameTime compares times to the millisecond, which is the precision of stores.
func sameTime(a, b time.Time) bool {
	return a.IsZero() == b.IsZero() && a.UnixMilli() == b.UnixMilli()
}

func (f *fixture) request(tenant string, id uuid.UUID) *delivery.Request {
	f.Helper()
	r, err := f.store.Request(f.Context(), tenant, id)
	f.must(err)
	return r
}

// pages reads all rows that a filter selects, page by page.
func (f *fixture) pages(tenant string, filter delivery.RequestFilter) []delivery.Request {
	f.Helper()
	var all []delivery.Request
	for {
		page, err := f.store.Requests(f.Context(), tenant, filter)
		f.must(err)
		if len(page.Requests) > filter.Limit {
			f.Fatalf("a page of at most %d rows has %d", filter.Limit, len(page.Requests))
		}
		all = append(all, page.Requests...)
		if page.Next == uuid.Nil {
			return all
		}
		if filter.Before != uuid.Nil && slices.Compare(page.Next[:], filter.Before[:]) >= 0 {
			f.Fatalf("the page after %s goes on at %s: that is no progress", filter.Before, page.Next)
		}
		filter.Before = page.Next
	}
}

func ids(rows []delivery.Request) []uuid.UUID {
	all := make([]uuid.UUID, len(rows))
	for i := range rows {
		all[i] = rows[i].ID
	}
	return all
}
