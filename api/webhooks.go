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

	Headers   map[string]string `json:"headers"`
	Timeout   *string           `json:"timeout"`
	Metadata  map[string]string `json:"metadata"`
	Retry     *retry            `json:"retry"`
	Filter    *string           `json:"filter"`
	Transform *string           `json:"transform"`
}

func newWebhook(w *delivery.Webhook) webhook {
	return webhook{
		ID: w.ID, URL: w.URL, Description: w.Description, Enabled: w.Enabled, EventTypes: w.EventTypes,
		HasSecret: w.Secret != "", CreatedAt: w.CreatedAt.UTC(), UpdatedAt: w.UpdatedAt.UTC(),
		Headers: w.Headers, Timeout: timeoutText(w.Timeout), Metadata: w.Metadata,
		Retry:  newRetry(w.Retry),
		Filter: textOrNull(w.Filter), Transform: textOrNull(w.Transform),
	}
}

// textOrNull is nil for no text.
func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
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
	if err := in.check(&c.api.Backend, true); err != nil {
		return response{}, err
	}
	w := delivery.Webhook{Tenant: c.Tenant, Enabled: true, EventTypes: []string{delivery.AllEventTypes}}
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
	if err := in.check(&c.api.Backend, false); err != nil {
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

// testInput chooses the example event of a test.
type testInput struct {
	EventType optional[string] `json:"event_type"`
}

// testWebhook handles POST /api/webhooks/{id}/test.
func testWebhook(ctx context.Context, c *call) (response, error) {
	var in testInput
	if err := decode(c.body, &in); err != nil {
		return response{}, err
	}
	var errs fieldErrors
	given := errs.given("event_type", in.EventType.Set, in.EventType.Null)
	if given {
		errs.check("event_type", c.api.EventTypes.check(in.EventType.Value))
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
	name, ok := c.api.EventTypes.example(w.EventTypes)
	switch {
	case given && !slices.Contains(w.EventTypes, in.EventType.Value) && !slices.Contains(w.EventTypes, delivery.AllEventTypes):
		return response{}, invalid(fieldError{"event_type", "The webhook does not want this event type: choose one of its own."})
	case given:
		name = in.EventType.Value
	case !ok:
		return response{}, &problem{
			Status: http.StatusUnprocessableEntity,
			Detail: "None of the event types that the webhook wants is configured any more, so there is no event to test it with: change its event types first.",
		}
	}
	data, err := c.api.EventTypes.testData(name)
	if err != nil {
		return response{}, err
	}
	example := delivery.NewEvent{Type: name, Data: data}
	sent, err := c.api.Engine.Test(ctx, ref.Tenant, ref.ID, example, c.audit(delivery.ActionWebhookTested, uuid.Nil)...)
	if err != nil {
		return response{}, notFound(err, "webhook")
	}
	return response{status: http.StatusOK, body: newRequestDetail(sent)}, nil
}
