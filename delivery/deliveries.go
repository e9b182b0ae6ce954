package delivery

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// DeliveryRetrying is the status of a pending delivery that has been attempted, where that makes
// a difference: in lists of deliveries.
const DeliveryRetrying DeliveryStatus = "retrying"

// DeliveryFilter selects deliveries of a tenant. A zero member selects all.
type DeliveryFilter struct {
	// Status is that of lists: DeliveryPending is what has not been attempted.
	Status    DeliveryStatus
	WebhookID uuid.UUID
	EventType string
	// Since, inclusive, and Until, exclusive, are of when the last request began or, if there is
	// none, of when the event was received.
	Since, Until time.Time
	// After is where the previous page ended.
	After DeliveryPlace
	// Limit is how many deliveries a page may have, at least 1.
	Limit int
}

// DeliveryPlace is a place in a list of deliveries: behind the one whose last request this is or,
// without a request, behind one of those of a webhook that have not been attempted. The zero value
// is before all; uuid.Max is before those that have been attempted.
type DeliveryPlace struct {
	Request uuid.UUID
	Webhook WebhookPlace
	Untried string // empty behind all of the webhook's
}

// ListedDelivery is a delivery with what is known of its event and its last request.
type ListedDelivery struct {
	Delivery

	EventID   uuid.UUID
	EventType string
	Last      *Request // without bodies; nil if there is none
}

// DeliveryPage is a page of a list of deliveries: first those that have not been attempted, by
// their webhooks, then the others, the newest last request first.
type DeliveryPage struct {
	Deliveries []ListedDelivery
	// More says that there may be others behind Next, also if this page has fewer than it may.
	More bool
	Next DeliveryPlace
}

// How far one page of deliveries looks: how often it asks the store, for how many rows of the log
// at a time, and of how many webhooks it asks at a time whether they have any that are pending.
const (
	deliverySteps    = 10
	deliveryRows     = MaxLook / deliverySteps
	deliveryWebhooks = 100
)

// Deliveries reads a page of a tenant's deliveries. Of one that has ended, and then was sent by
// somebody who had lost its lease, it may not know until there is another request. One that has
// failed or is tried again, and whose last request is a success of that kind, is only in the list
// of all: those of failures are found by failures.
func (e *Engine) Deliveries(ctx context.Context, tenant string, f DeliveryFilter) (DeliveryPage, error) {
	if err := e.ready(ctx); err != nil {
		return DeliveryPage{}, err
	}
	s := deliverySearch{engine: e, tenant: tenant, filter: &f, at: f.After}
	if (f.Status == "" || f.Status == DeliveryPending) && f.After.Request == uuid.Nil {
		if ended, err := s.untried(ctx); err != nil || ended || f.Status == DeliveryPending {
			return s.page, err
		}
		s.at = DeliveryPlace{Request: uuid.Max}
	}
	err := s.attempted(ctx)
	return s.page, err
}

// deliverySearch fills one page.
type deliverySearch struct {
	engine *Engine
	tenant string
	filter *DeliveryFilter
	page   DeliveryPage
	at     DeliveryPlace // what is before it has been looked at
	steps  int
}

// end ends the page here.
func (s *deliverySearch) end() { s.page.More, s.page.Next = true, s.at }

func (s *deliverySearch) isFull() bool { return len(s.page.Deliveries) == s.filter.Limit }

// untried reads deliveries that have not been attempted, and reports whether the page has ended.
func (s *deliverySearch) untried(ctx context.Context) (ended bool, err error) {
	webhooks, err := s.webhooks(ctx)
	if err != nil {
		return false, err
	}
	after := s.filter.After
	for some := range slices.Chunk(webhooks, deliveryWebhooks) {
		ids := make([]uuid.UUID, len(some))
		for i := range some {
			ids[i] = some[i].ID
		}
		pending, err := s.engine.store.WebhookPending(ctx, s.tenant, ids)
		if err != nil {
			return false, err
		}
		s.steps++
		for i, w := range some {
			if i < len(pending) && pending[i] > 0 {
				from := ""
				if w == after.Webhook {
					from = after.Untried
				}
				if ended, err := s.untriedOf(ctx, w, from); err != nil || ended {
					return ended, err
				}
			}
			if s.at = (DeliveryPlace{Webhook: w}); s.steps >= deliverySteps {
				s.end()
				return true, nil
			}
		}
	}
	return false, nil
}

// webhooks are the places of those whose deliveries are left, oldest first.
func (s *deliverySearch) webhooks(ctx context.Context) (places []WebhookPlace, err error) {
	after := s.filter.After
	if s.filter.WebhookID != uuid.Nil {
		if after.Webhook.ID != uuid.Nil && after.Untried == "" {
			return nil, nil
		}
		after.Webhook.ID = s.filter.WebhookID
		return []WebhookPlace{after.Webhook}, nil
	}
	of, err := s.engine.freshSubscriptions(ctx, s.tenant)
	if err != nil {
		return nil, err
	}
	for w := range of.list.all() {
		place := w.place()
		at := cmp.Or(place.CreatedAt.Compare(after.Webhook.CreatedAt), bytes.Compare(place.ID[:], after.Webhook.ID[:]))
		if at > 0 || at == 0 && after.Untried != "" {
			places = append(places, place)
		}
	}
	return places, nil
}

// untriedOf reads those of one webhook.
func (s *deliverySearch) untriedOf(ctx context.Context, w WebhookPlace, from string) (ended bool, err error) {
	f := s.filter
	for {
		read, err := s.engine.store.Untried(ctx, WebhookRef{s.tenant, w.ID}, from)
		if err != nil {
			return false, err
		}
		s.steps++
		for _, d := range read.Deliveries {
			if s.isFull() {
				s.end()
				return true, nil
			}
			s.at = DeliveryPlace{Webhook: w, Untried: d.Place}
			if f.EventType != "" && f.EventType != d.EventType || d.ReceivedAt.Before(f.Since) || !f.Until.IsZero() && !d.ReceivedAt.Before(f.Until) {
				continue
			}
			listed := ListedDelivery{
				Delivery: Delivery{WebhookID: w.ID, Status: DeliveryPending}, EventID: d.EventID, EventType: d.EventType,
			}
			if !d.Waits {
				listed.NextAttemptAt = d.ReceivedAt
			}
			s.page.Deliveries = append(s.page.Deliveries, listed)
		}
		if from = read.Next; from == "" {
			return false, nil
		}
		if s.at = (DeliveryPlace{Webhook: w, Untried: from}); s.isFull() || s.steps >= deliverySteps {
			s.end()
			return true, nil
		}
	}
}

// attempted reads deliveries by their last requests: the log has these in their order.
func (s *deliverySearch) attempted(ctx context.Context) error {
	f := s.filter
	rows := RequestFilter{
		WebhookID: f.WebhookID, EventType: f.EventType, Since: f.Since, Until: f.Until, Before: s.at.Request, Limit: deliveryRows,
	}
	if f.Status == DeliveryFailed || f.Status == DeliveryRetrying {
		rows.Status = RequestFailed
	}
	for ; s.steps < deliverySteps; s.steps++ {
		page, err := s.engine.store.Requests(ctx, s.tenant, rows)
		if err != nil {
			return err
		}
		standing, err := s.engine.store.Standing(ctx, s.tenant, page.Requests)
		if err != nil {
			return err
		}
		for i := range standing {
			if s.isFull() {
				s.end()
				return nil
			}
			s.add(&page.Requests[i], standing[i])
			s.at = DeliveryPlace{Request: page.Requests[i].ID}
		}
		if page.Next == uuid.Nil {
			return nil
		}
		rows.Before = page.Next
		s.at = DeliveryPlace{Request: page.Next}
	}
	s.end()
	return nil
}

// add adds the delivery whose last request a row is, if there is one and it is selected.
func (s *deliverySearch) add(last *Request, d Delivery) {
	switch {
	case d.Status == "":
		return
	case d.Status == DeliveryPending && d.Attempts == 0:
		return // it is among those that have not been attempted, or the test that is being sent
	case d.Status == DeliveryPending:
		d.Status = DeliveryRetrying
	}
	if s.filter.Status != "" && s.filter.Status != d.Status {
		return
	}
	s.page.Deliveries = append(s.page.Deliveries, ListedDelivery{Delivery: d, EventID: last.EventID, EventType: last.EventType, Last: last})
}
