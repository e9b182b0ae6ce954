package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// webhook is a webhook as responses have it: without its secret.
type webhook struct {
	ID          uuid.UUID `json:"id"`
	URL         string    `json:"url"`
	Description string    `json:"description"`
	Enabled     bool      `json:"enabled"`
	EventTypes  []string  `json:"event_types"`
	HasSecret   bool      `json:"has_secret"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`

	Headers     map[string]string `json:"headers"`
	Timeout     *string           `json:"timeout"`
	Metadata    map[string]string `json:"metadata"`
	Retry       *retry            `json:"retry"`
	Concurrency *int              `json:"concurrency"`
	Filter      *string           `json:"filter"`
	Transform   *string           `json:"transform"`
	OrderBy     *string           `json:"order_by"`

	DisabledReason *delivery.DisabledReason `json:"disabled_reason"`

	Authorization     *authorization `json:"authorization"`
	ClientCertificate *certificate   `json:"client_certificate"`

	SecretChangedAt     *time.Time `json:"secret_changed_at"`
	PreviousSecretUntil *time.Time `json:"previous_secret_until"`

	RateLimit *rateLimit `json:"rate_limit"`

	Source webhookSource `json:"source"`
}

func newWebhook(w *delivery.Webhook) webhook {
	return webhook{
		ID: w.ID, URL: w.URL, Description: w.Description, Enabled: w.Enabled, EventTypes: w.EventTypes,
		HasSecret: w.Secret != "", CreatedAt: w.CreatedAt.UTC(), UpdatedAt: w.UpdatedAt.UTC(),
		Headers: w.Headers, Timeout: timeoutText(w.Timeout), Metadata: w.Metadata,
		Retry: newRetry(w.Retry), Concurrency: orNull(w.Concurrency),
		Filter: orNull(w.Filter), Transform: orNull(w.Transform), OrderBy: orNull(w.OrderBy),
		DisabledReason: orNull(w.WhyDisabled()),
		Authorization:  newAuthorization(w.Authorization), ClientCertificate: newCertificate(w.ClientCertificate),
		SecretChangedAt: timeOrNull(w.SecretChangedAt), PreviousSecretUntil: timeOrNull(w.PreviousSecretUntil),
		RateLimit: newRateLimit(w.RateLimit),
		Source:    sourceOf(w),
	}
}

// webhookRef is the webhook that the path names.
func (c *call) webhookRef() (delivery.WebhookRef, error) {
	id, ok := c.id()
	if !ok {
		return delivery.WebhookRef{}, missing("webhook")
	}
	return delivery.WebhookRef{Tenant: c.Tenant, ID: id}, nil
}

// createWebhook handles POST /api/webhooks.
func createWebhook(ctx context.Context, c *call) (response, error) {
	var in webhookInput
	if err := decode(c.body, &in); err != nil {
		return response{}, err
	}
	if err := c.checkWebhook(ctx, &in, true); err != nil {
		return response{}, err
	}
	w := newDefaultWebhook()
	w.Tenant = c.Tenant
	in.apply(&w)
	created, err := c.api.Engine.CreateWebhook(ctx, w, c.audit(delivery.ActionWebhookCreated, uuid.Nil)...)
	if err != nil {
		return response{}, err
	}
	return response{
		status: http.StatusCreated, location: "webhooks/" + created.ID.String(), body: newWebhook(created),
	}, nil
}

// getWebhook handles GET /api/webhooks/{id}.
func getWebhook(ctx context.Context, c *call) (response, error) {
	ref, err := c.webhookRef()
	if err != nil {
		return response{}, err
	}
	w, err := c.api.Engine.Webhook(ctx, ref)
	if err != nil {
		return response{}, notFound(err, "webhook")
	}
	return response{status: http.StatusOK, body: newWebhook(w)}, nil
}

// changeWebhook handles PATCH /api/webhooks/{id}.
func changeWebhook(ctx context.Context, c *call) (response, error) {
	var in webhookInput
	if err := decode(c.body, &in); err != nil {
		return response{}, err
	}
	if err := c.checkWebhook(ctx, &in, false); err != nil {
		return response{}, err
	}
	if in.empty() {
		return getWebhook(ctx, c)
	}
	ref, err := c.webhookRef()
	if err != nil {
		return response{}, err
	}
	w, err := c.api.Engine.ChangeWebhook(ctx, ref, in.apply, c.audit(delivery.ActionWebhookChanged, uuid.Nil)...)
	if err != nil {
		return response{}, notFound(err, "webhook")
	}
	return response{status: http.StatusOK, body: newWebhook(w)}, nil
}

// deleteWebhook handles DELETE /api/webhooks/{id}.
func deleteWebhook(ctx context.Context, c *call) (response, error) {
	ref, err := c.webhookRef()
	if err != nil {
		return response{}, err
	}
	if err := c.api.Engine.DeleteWebhook(ctx, ref, c.audit(delivery.ActionWebhookDeleted, uuid.Nil)...); err != nil {
		return response{}, notFound(err, "webhook")
	}
	return response{status: http.StatusNoContent}, nil
}

// testInput chooses the event of a test: an example, or a stored one.
type testInput struct {
	EventType optional[string] `json:"event_type"`
	EventID   optional[string] `json:"event_id"`
}

// testWebhook handles POST /api/webhooks/{id}/test.
func testWebhook(ctx context.Context, c *call) (response, error) {
	var in testInput
	if err := decode(c.body, &in); err != nil {
		return response{}, err
	}
	var errs fieldErrors
	if errs.given("event_type", in.EventType.Set, in.EventType.Null) {
		errs.check("event_type", c.api.EventTypes.mayWant(in.EventType.Value))
	}
	id := checkEventID(in.EventID, &errs)
	if in.EventID.Set && in.EventType.Set {
		errs.add("event_id", "With this, event_type must be left out: the event has a type.")
	}
	if err := errs.problem(); err != nil {
		return response{}, err
	}
	ref, err := c.webhookRef()
	if err != nil {
		return response{}, err
	}
	w, err := c.api.Engine.Webhook(ctx, ref)
	if err != nil {
		return response{}, notFound(err, "webhook")
	}
	var example delivery.NewEvent
	if in.EventID.Set {
		example, err = c.storedExample(ctx, w, id)
	} else {
		example, err = c.example(w, in.EventType)
	}
	if err != nil {
		return response{}, err
	}
	sent, err := c.api.Engine.Test(ctx, ref.Tenant, ref.ID, example, c.audit(delivery.ActionWebhookTested, uuid.Nil)...)
	if err != nil {
		return response{}, notFound(err, "webhook")
	}
	return response{status: http.StatusOK, body: newRequestDetail(sent)}, nil
}

// example is an event of the type, or of one that the webhook wants.
func (c *call) example(w *delivery.Webhook, eventType optional[string]) (delivery.NewEvent, error) {
	name, ok := c.api.EventTypes.example(w.EventTypes)
	switch {
	case eventType.Set && !wantsType(w, eventType.Value):
		return delivery.NewEvent{}, invalid(fieldError{"event_type", "The webhook does not want this event type: choose one of its own."})
	case eventType.Set:
		name = eventType.Value
	case !ok:
		return delivery.NewEvent{}, &problem{
			Status: http.StatusUnprocessableEntity,
			Detail: "None of the event types that the webhook wants is configured any more, so there is no event to test it with: change its event types first.",
		}
	}
	data, err := c.api.EventTypes.testData(name)
	return delivery.NewEvent{Type: name, Data: data}, err
}

// storedExample is a stored event again, as a new one: a receiver that has it already would take
// no notice of one with the same id.
func (c *call) storedExample(ctx context.Context, w *delivery.Webhook, id uuid.UUID) (delivery.NewEvent, error) {
	ev, _, err := c.api.Engine.Event(ctx, c.Tenant, id)
	if err != nil {
		return delivery.NewEvent{}, notFound(err, "event")
	}
	if ev.Erased {
		return delivery.NewEvent{}, missing("event")
	}
	if !wantsType(w, ev.Type) {
		return delivery.NewEvent{}, invalid(fieldError{"event_id", "The webhook does not want events of this type: choose another event."})
	}
	return delivery.NewEvent{Type: ev.Type, OccurredAt: ev.OccurredAt, Data: ev.Data()}, nil
}

func wantsType(w *delivery.Webhook, eventType string) bool {
	return slices.Contains(w.EventTypes, eventType) || slices.Contains(w.EventTypes, delivery.AllEventTypes)
}
