// Command oapicodegen calls the API by the client that oapi-codegen generates.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

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
	created, err := c.CreateWebhookWithResponse(ctx, gen.NewWebhook{
		Url: endpoint, Secret: new("a secret"), EventTypes: &[]gen.WantedEventType{gen.WantedEventTypeGroupCreated},
	})
	if err != nil || created.JSON201 == nil || !created.JSON201.HasSecret {
		return fmt.Errorf("create: %s, %w", created.Body, err)
	}
	id := created.JSON201.Id
	changed, err := c.ChangeWebhookWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, id, gen.WebhookPatch{
		Description: new("changed"), EventTypes: &[]gen.WantedEventType{"*"},
	})
	if err != nil || changed.JSON200 == nil || changed.JSON200.Description != "changed" {
		return fmt.Errorf("change: %s, %w", changed.Body, err)
	}
	one := gen.NewEvent{EventType: gen.EventTypeNameGroupCreated, Data: map[string]any{"n": 1.5, "in": map[string]any{"a": []any{nil}}}}
	var emit gen.Emit
	if err := emit.FromNewEvent(one); err != nil {
		return err
	}
	receipt, err := c.EmitEventsWithResponse(ctx, emit)
	if err != nil || receipt.JSON202 == nil {
		return fmt.Errorf("emit: %s, %w", receipt.Body, err)
	}
	got, err := receipt.JSON202.AsReceipt()
	if err != nil || got.Deliveries != 1 {
		return fmt.Errorf("emit: %s, %w", receipt.Body, err)
	}
	if err := emit.FromEmit1([]gen.NewEvent{one, {EventType: "group_deleted", OccurredAt: new(time.Unix(0, 0).UTC()), Data: map[string]any{}}}); err != nil {
		return err
	}
	receipts, err := c.EmitEventsWithResponse(ctx, emit)
	if err != nil || receipts.JSON202 == nil {
		return fmt.Errorf("emit two: %s, %w", receipts.Body, err)
	}
	if all, err := receipts.JSON202.AsReceipts1(); err != nil || len(all) != 2 {
		return fmt.Errorf("emit two: %s, %w", receipts.Body, err)
	}
	event, err := c.GetEventWithResponse(ctx, got.EventId)
	if err != nil || event.JSON200 == nil || event.JSON200.Data["n"] != 1.5 {
		return fmt.Errorf("event: %s, %w", event.Body, err)
	}
	webhooks, err := c.ListWebhooksWithResponse(ctx)
	if err != nil || webhooks.JSON200 == nil || len(webhooks.JSON200.Data) != 1 || webhooks.JSON200.Data[0].Id != id {
		return fmt.Errorf("webhooks: %s, %w", webhooks.Body, err)
	}
	test, err := c.TestWebhookWithResponse(ctx, id, gen.Test{})
	if err != nil || test.JSON200 == nil || test.JSON200.Status != gen.RequestStatusSuccess || test.JSON200.Attempt != nil {
		return fmt.Errorf("test: %s, %w", test.Body, err)
	}
	rows, err := c.ListRequestsWithResponse(ctx, &gen.ListRequestsParams{WebhookId: &id, Limit: new(1)})
	if err != nil || rows.JSON200 == nil || len(rows.JSON200.Data) != 1 || rows.JSON200.Data[0].WebhookId != id {
		return fmt.Errorf("requests: %s, %w", rows.Body, err)
	}
	// What is refused comes as a problem.
	refused, err := c.CreateWebhookWithResponse(ctx, gen.NewWebhook{Url: "ftp://x"})
	if err != nil || refused.ApplicationproblemJSON422 == nil || len(refused.ApplicationproblemJSON422.Errors) != 1 {
		return fmt.Errorf("refused: %s, %w", refused.Body, err)
	}
	return nil
}
