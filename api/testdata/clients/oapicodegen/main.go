// Command oapicodegen calls the API with the client that oapi-codegen generates.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"

	"clients/oapicodegen/gen"
)

// The arguments are the URL of the API, a token, and the URL of an endpoint.
func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, token, endpoint string) error {
	c, err := gen.NewClientWithResponses(url, gen.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	if err != nil {
		return err
	}
	webhook, err := create(ctx, c, endpoint)
	if err != nil {
		return err
	}
	event, err := emit(ctx, c)
	if err != nil {
		return err
	}
	if err := read(ctx, c, webhook, event); err != nil {
		return err
	}
	// A refusal comes as a problem.
	refused, err := c.CreateWebhookWithResponse(ctx, gen.NewWebhook{Url: "ftp://x"})
	if err != nil || refused.ApplicationproblemJSON422 == nil || len(refused.ApplicationproblemJSON422.Errors) != 1 {
		return fmt.Errorf("refused: %s, %w", refused.Body, err)
	}
	return nil
}

// create creates a webhook, changes it, and returns its id.
func create(ctx context.Context, c *gen.ClientWithResponses, endpoint string) (id uuid.UUID, err error) {
	created, err := c.CreateWebhookWithResponse(ctx, gen.NewWebhook{
		Url: endpoint, Secret: new("a secret"), EventTypes: &[]gen.WantedEventType{gen.WantedEventTypeGroupCreated},
	})
	if err != nil || created.JSON201 == nil || !created.JSON201.HasSecret {
		return id, fmt.Errorf("create: %s, %w", created.Body, err)
	}
	id = created.JSON201.Id
	changed, err := c.ChangeWebhookWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, id, gen.WebhookPatch{
		Description: new("changed"), EventTypes: &[]gen.WantedEventType{"*"},
	})
	if err != nil || changed.JSON200 == nil || changed.JSON200.Description != "changed" {
		return id, fmt.Errorf("change: %s, %w", changed.Body, err)
	}
	return id, nil
}

// emit emits one event by itself, whose id it returns, and two at once.
func emit(ctx context.Context, c *gen.ClientWithResponses) (id uuid.UUID, err error) {
	one := gen.NewEvent{EventType: gen.EventTypeNameGroupCreated, Data: map[string]any{"n": 1.5, "in": map[string]any{"a": []any{nil}}}}
	var emit gen.Emit
	if err := emit.FromNewEvent(one); err != nil {
		return id, err
	}
	receipt, err := c.EmitEventsWithResponse(ctx, emit)
	if err != nil || receipt.JSON202 == nil {
		return id, fmt.Errorf("emit: %s, %w", receipt.Body, err)
	}
	got, err := receipt.JSON202.AsReceipt()
	if err != nil || got.Deliveries != 1 {
		return id, fmt.Errorf("emit: %s, %w", receipt.Body, err)
	}
	if err := emit.FromEmit1([]gen.NewEvent{one, {EventType: "group_deleted", OccurredAt: new(time.Unix(0, 0).UTC()), Data: map[string]any{}}}); err != nil {
		return id, err
	}
	receipts, err := c.EmitEventsWithResponse(ctx, emit)
	if err != nil || receipts.JSON202 == nil {
		return id, fmt.Errorf("emit two: %s, %w", receipts.Body, err)
	}
	if all, err := receipts.JSON202.AsReceipts1(); err != nil || len(all) != 2 {
		return id, fmt.Errorf("emit two: %s, %w", receipts.Body, err)
	}
	return got.EventId, nil
}

// read reads the event, the webhook, and the request of a test event.
func read(ctx context.Context, c *gen.ClientWithResponses, webhook, eventID uuid.UUID) error {
	event, err := c.GetEventWithResponse(ctx, eventID)
	if err != nil || event.JSON200 == nil || event.JSON200.Data == nil || (*event.JSON200.Data)["n"] != 1.5 {
		return fmt.Errorf("event: %s, %w", event.Body, err)
	}
	webhooks, err := c.ListWebhooksWithResponse(ctx, &gen.ListWebhooksParams{})
	if err != nil || webhooks.JSON200 == nil || len(webhooks.JSON200.Data) != 1 || webhooks.JSON200.Data[0].Id != webhook {
		return fmt.Errorf("webhooks: %s, %w", webhooks.Body, err)
	}
	test, err := c.TestWebhookWithResponse(ctx, webhook, gen.Test{})
	if err != nil || test.JSON200 == nil || test.JSON200.Status != gen.RequestStatusSuccess || test.JSON200.Attempt != nil {
		return fmt.Errorf("test: %s, %w", test.Body, err)
	}
	rows, err := c.ListRequestsWithResponse(ctx, &gen.ListRequestsParams{WebhookId: &webhook, Limit: new(1)})
	if err != nil || rows.JSON200 == nil || len(rows.JSON200.Data) != 1 || rows.JSON200.Data[0].WebhookId != webhook {
		return fmt.Errorf("requests: %s, %w", rows.Body, err)
	}
	return nil
}
