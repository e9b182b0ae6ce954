package caddymodule

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// webhook is a webhook as it is answered: its secret never is.
type webhook struct {
	ID          uuid.UUID `json:"id"`
	URL         string    `json:"url"`
	Description string    `json:"description"`
	Enabled     bool      `json:"enabled"`
	EventTypes  []string  `json:"event_types"`
	HasSecret   bool      `json:"has_secret"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

func newWebhook(w *delivery.Webhook) webhook {
	return webhook{
		ID: w.ID, URL: w.URL, Description: w.Description, Enabled: w.Enabled, EventTypes: w.EventTypes,
		HasSecret: w.Secret != "", CreatedAt: w.CreatedAt.UTC(), UpdatedAt: w.UpdatedAt.UTC(),
	}
}

// webhookRef is the webhook that the path names.
func (c *call) webhookRef() (delivery.WebhookRef, error) {
	id, ok := c.id()
	if !ok {
		return delivery.WebhookRef{}, missing("webhook")
	}
	return delivery.WebhookRef{Tenant: c.tenant, ID: id}, nil
}

// listWebhooks answers GET /api/webhooks.
func listWebhooks(ctx context.Context, c *call) (answer, error) {
	webhooks, err := c.app.engine.Webhooks(ctx, c.tenant)
	if err != nil {
		return answer{}, err
	}
	list := make([]webhook, len(webhooks))
	for i, w := range webhooks {
		list[i] = newWebhook(w)
	}
	return answer{status: http.StatusOK, body: data[webhook]{list}}, nil
}

// createWebhook answers POST /api/webhooks.
func createWebhook(ctx context.Context, c *call) (answer, error) {
	var in webhookInput
	if err := decode(c.body, &in); err != nil {
		return answer{}, err
	}
	if err := in.check(c.app, true); err != nil {
		return answer{}, err
	}
	w := delivery.Webhook{Tenant: c.tenant, Enabled: true, EventTypes: []string{delivery.AllEventTypes}}
	in.apply(&w)
	created, err := c.app.engine.CreateWebhook(ctx, w)
	if err != nil {
		return answer{}, err
	}
	return answer{
		status: http.StatusCreated, location: "webhooks/" + created.ID.String(), body: newWebhook(created),
	}, nil
}

// getWebhook answers GET /api/webhooks/{id}.
func getWebhook(ctx context.Context, c *call) (answer, error) {
	ref, err := c.webhookRef()
	if err != nil {
		return answer{}, err
	}
	w, err := c.app.engine.Webhook(ctx, ref)
	if err != nil {
		return answer{}, notFound(err, "webhook")
	}
	return answer{status: http.StatusOK, body: newWebhook(w)}, nil
}

// changeWebhook answers PATCH /api/webhooks/{id}.
func changeWebhook(ctx context.Context, c *call) (answer, error) {
	var in webhookInput
	if err := decode(c.body, &in); err != nil {
		return answer{}, err
	}
	if err := in.check(c.app, false); err != nil {
		return answer{}, err
	}
	if in.empty() {
		return getWebhook(ctx, c)
	}
	ref, err := c.webhookRef()
	if err != nil {
		return answer{}, err
	}
	w, err := c.app.engine.ChangeWebhook(ctx, ref, in.apply)
	if err != nil {
		return answer{}, notFound(err, "webhook")
	}
	return answer{status: http.StatusOK, body: newWebhook(w)}, nil
}

// deleteWebhook answers DELETE /api/webhooks/{id}.
func deleteWebhook(ctx context.Context, c *call) (answer, error) {
	ref, err := c.webhookRef()
	if err != nil {
		return answer{}, err
	}
	if err := c.app.engine.DeleteWebhook(ctx, ref); err != nil {
		return answer{}, notFound(err, "webhook")
	}
	return answer{status: http.StatusNoContent}, nil
}

// testInput chooses the example event of a test.
type testInput struct {
	EventType optional[string] `json:"event_type"`
}

// testWebhook answers POST /api/webhooks/{id}/test.
func testWebhook(ctx context.Context, c *call) (answer, error) {
	var in testInput
	if err := decode(c.body, &in); err != nil {
		return answer{}, err
	}
	var errs fieldErrors
	given := errs.given("event_type", in.EventType.Set, in.EventType.Null)
	if given {
		errs.check("event_type", c.app.types.check(in.EventType.Value))
	}
	if err := errs.problem(); err != nil {
		return answer{}, err
	}
	ref, err := c.webhookRef()
	if err != nil {
		return answer{}, err
	}
	name := in.EventType.Value
	if !given {
		w, err := c.app.engine.Webhook(ctx, ref)
		if err != nil {
			return answer{}, notFound(err, "webhook")
		}
		name = c.app.types.example(w.EventTypes)
	}
	sent, err := c.app.engine.Test(ctx, ref.Tenant, ref.ID, delivery.NewEvent{Type: name, Data: exampleData(name)})
	if err != nil {
		return answer{}, notFound(err, "webhook")
	}
	return answer{status: http.StatusOK, body: newRequestDetail(sent)}, nil
}
